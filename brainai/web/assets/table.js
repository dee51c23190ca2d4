// A click on a heading sorts by that column; rows that arrive later are sorted in.
let column = null;
let descending = false;

const value = (row) => {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
};

const compare = (a, b) => {
  const [left, right] = [value(a), value(b)];
  if (left === "" || right === "") return (left === "") - (right === ""); // rows without a value come last
  const order = isNaN(left) || isNaN(right) ? left.localeCompare(right, undefined, { numeric: true }) : left - right;
  return descending ? -order : order;
};

const sort = () => {
  const table = element.querySelector("table");
  if (!table || column === null) return;
  [...table.tHead.rows[0].cells].forEach((cell, index) => {
    if (index !== column) cell.removeAttribute("aria-sort");
    else cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
  });
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
};

element.addEventListener("click", (event) => {
  const heading = event.target.closest("th button")?.parentElement;
  if (!heading) return;
  descending = heading.cellIndex === column && !descending;
  column = heading.cellIndex;
  sort();
});

watch("value", sort);
