// All slices come with the answer, so moving through them sends no request to the server.
let slices = [];

const show = (number) => {
  const slice = slices[number - 1];
  if (!slice) return;
  const picture = element.querySelector("img.slice");
  const outline = element.querySelector("img.outline");
  picture.src = slice.slice;
  picture.alt = slice.words;
  outline.hidden = !slice.outline || !element.querySelector("[name=outlined]").checked;
  if (slice.outline) outline.src = slice.outline;
  element.querySelector(".words").textContent = slice.words;
  element.querySelector(".mark").setAttribute("x", number - 1);
};

const slider = () => element.querySelector("[name=slice]");

const begin = () => {
  const data = element.querySelector("template");
  slices = data ? JSON.parse(data.content.textContent) : [];
  if (slider()) show(Number(slider().value));
};

element.addEventListener("input", (event) => {
  if (event.target === slider() || event.target.name === "outlined") show(Number(slider().value));
});

element.addEventListener("click", (event) => {
  const plot = event.target.closest(".along svg");
  if (!plot || !slider()) return;
  const { left, width } = plot.getBoundingClientRect();
  const share = (event.clientX - left) / width;
  slider().value = Math.min(slices.length, Math.max(1, Math.ceil(share * slices.length)));
  show(Number(slider().value));
});

watch("value", begin);
begin();
