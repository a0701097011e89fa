// Tables of class "sortable": a click on a column's heading sorts the rows by it, a second one turns them round.
// Without this script they are plain tables.
"use strict";

function value(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replaceAll(",", ""));
  return { text, number, empty: text === "" };
}

function order(a, b, down) {
  if (a.empty || b.empty) return a.empty - b.empty; // what is not known stays last
  const both = !Number.isNaN(a.number) && !Number.isNaN(b.number);
  return (down ? -1 : 1) * (both ? a.number - b.number : a.text.localeCompare(b.text));
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [row, value(row, column)]);
      rows.sort((a, b) => order(a[1], b[1], down));
      table.tBodies[0].append(...rows.map(([row]) => row));
    });
  });
}

document.querySelectorAll("table.cnn-table.sortable").forEach(makeSortable);
