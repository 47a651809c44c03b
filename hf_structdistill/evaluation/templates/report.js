"use strict";
(() => {
  const list = document.getElementById("problems");
  const bar = document.getElementById("filters");
  if (!list || !bar) return;
  const items = [...list.querySelectorAll("details.problem")];
  const shown = document.getElementById("shown");
  const search = document.getElementById("search");
  let outcome = "";
  bar.hidden = false; // without this script the whole list is simply there

  const update = () => {
    const words = search.value.toLowerCase();
    let count = 0;
    for (const item of items) {
      const fits = (!outcome || item.dataset.outcome === outcome) && item.textContent.toLowerCase().includes(words);
      item.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = count + " of " + items.length + " shown";
  };
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-filter]");
    if (!button) return;
    outcome = button.dataset.filter;
    for (const other of bar.querySelectorAll("button[data-filter]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    update();
  });
  search.addEventListener("input", update);
  update();
})();
