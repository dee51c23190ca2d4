API=http://127.0.0.1:7860/gradio_api
FILE=$(curl -s -F files=@slice.png $API/upload | tr -d '[]"')
EVENT=$(curl -s $API/call/v2/predict -H 'Content-Type: application/json' \
  -d '{"flair": {"path": "'"$FILE"'", "meta": {"_type": "gradio.FileData"}}}' |
  sed 's/.*"event_id": *"\([^"]*\)".*/\1/')
curl -sN $API/call/predict/$EVENT
