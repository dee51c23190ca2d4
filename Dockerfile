# Runs the app as an ordinary user on any host that runs containers:
#   docker build -t brainai . && docker run --rm -p 7860:7860 --read-only --tmpfs /tmp brainai
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 brainai
WORKDIR /app
COPY requirements.txt .
# The CPU build of torch has a tenth of the size of the CUDA build.
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir -r requirements.txt
COPY app.py README.md LICENSE ./
COPY brainai brainai
COPY examples examples
COPY weights weights

USER brainai
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    HF_HOME=/tmp/huggingface
EXPOSE 7860
CMD ["python", "app.py"]
