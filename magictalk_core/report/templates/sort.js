// Click a heading to sort its column; again to turn the order round. Rows without a number stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  for (const button of table.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const falls = head.getAttribute("aria-sort") === "ascending";
      const rows = Array.from(table.tBodies[0].rows);
      const key = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent.trim();
      const isNumber = rows.every((row) => key(row) === "" || Number.isFinite(Number(key(row))));
      rows.sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = isNumber ? Number(a) - Number(b) : a.localeCompare(b);
        return falls ? -order : order;
      });
      for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
    });
  }
}
