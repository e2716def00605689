(() => {
  "use strict";
  const table = document.getElementById("jobs");
  const headings = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.type);
  const words = document.getElementById("words");
  const levels = [...document.querySelectorAll("[data-level][aria-pressed]")];
  const jobs = [...table.tBodies].map((body) => ({
    body,
    text: body.textContent.toLowerCase(),
    keys: headings.map((_, column) => body.rows[0].cells[column].dataset.sort),
  }));

  // What is not known stays below, whichever way the column is sorted.
  const compare = (column, numbers, sign) => (one, other) => {
    const [a, b] = [one.keys[column], other.keys[column]];
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (numbers ? a - b : a.localeCompare(b, "en", { numeric: true }));
  };

  const sort = (column) => {
    const heading = headings[column];
    const descending = heading.getAttribute("aria-sort") === "ascending";
    headings.forEach((one) => one.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    jobs.sort(compare(column, heading.dataset.type === "number", descending ? -1 : 1));
    table.append(...jobs.map((job) => job.body));
  };

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const level = levels.find((button) => button.getAttribute("aria-pressed") === "true").dataset.level;
    let shown = 0;
    for (const { body, text } of jobs) {
      const fits = (!level || body.dataset.level === level) && wanted.every((word) => text.includes(word));
      body.hidden = !fits;
      shown += fits;
    }
    document.getElementById("shown").textContent = `${shown} of ${jobs.length} shown`;
  };

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(column));
    heading.append(button);
  });
  levels.forEach((button) => button.addEventListener("click", () => {
    levels.forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
    filter();
  }));
  words.addEventListener("input", filter);
  const form = document.querySelector("form");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
})();
