import { readFile } from "node:fs/promises";
import { Client, handle_file } from "@gradio/client"; // npm install @gradio/client

const client = await Client.connect("http://127.0.0.1:7860");
const slice = new Blob([await readFile("slice.png")]); // in a page: the File of an <input>
try {
  const { data } = await client.predict("/predict", { flair: handle_file(slice) });
  const [answer] = data;
  console.log(answer.label, answer.reason ?? answer.probability, answer.mask?.url);
} catch (error) {
  console.log(error.title, error.message); // a stable code, and a sentence
}
