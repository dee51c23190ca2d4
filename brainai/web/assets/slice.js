// The layer that a visitor chose for one slice is also shown over the next; only the browser knows it.
element.addEventListener("change", (event) => {
  if (event.target.name === "view") element.dataset.view = event.target.value;
});

watch("value", () => {
  const chosen = element.querySelector(`input[value="${element.dataset.view}"]`);
  if (chosen) chosen.checked = true;
  element.scrollIntoView({ block: "nearest", behavior: "smooth" });
});

// Save what is shown: the visible layers, drawn over each other in full resolution.
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-save]");
  if (!button) return;
  const layers = [...element.querySelectorAll(".layers img")].filter(
    (image) => getComputedStyle(image).display !== "none",
  );
  const canvas = document.createElement("canvas");
  canvas.width = layers[0].naturalWidth;
  canvas.height = layers[0].naturalHeight;
  for (const image of layers) canvas.getContext("2d").drawImage(image, 0, 0);
  const link = document.createElement("a");
  link.download = button.dataset.save;
  link.href = canvas.toDataURL("image/png");
  link.click();
});
