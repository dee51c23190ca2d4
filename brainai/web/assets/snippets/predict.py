import ssl

from gradio_client import Client, handle_file  # pip install "gradio_client>=2"
from gradio_client.exceptions import AppError

# Make one client and keep it; certificates read once save a tenth of a second at every call.
certificates = ssl.create_default_context()
client = Client("http://127.0.0.1:7860", ssl_verify=certificates, analytics_enabled=False)
try:
    answer = client.predict(flair=handle_file("slice.png"), api_name="/predict")
    print(answer["label"], answer["reason"] or answer["probability"], answer["mask"])
except AppError as error:
    print(error.title, error.message)  # a stable code, and a sentence
