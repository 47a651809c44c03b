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

  // Data flow: where the value of the variable under the pointer comes from.
  const flow = document.getElementById("view-flow");
  const clear = () => {
    for (const marked of list.querySelectorAll(".here, .source")) marked.classList.remove("here", "source");
    for (const note of list.querySelectorAll(".flow-note")) note.textContent = "";
  };
  const show = (event) => {
    const variable = event.target.closest("u[data-from]");
    if (!flow || !flow.checked || !variable) return clear();
    clear();
    const code = variable.closest("pre");
    variable.classList.add("here");
    for (const number of variable.dataset.from.split(" ")) {
      const source = code.querySelector('u[data-at="' + number + '"]');
      if (source && source !== variable) source.classList.add("source");
    }
    let note = code.nextElementSibling;
    if (!note || !note.classList.contains("flow-note")) {
      note = document.createElement("p");
      note.className = "flow-note";
      code.after(note);
    }
    note.textContent = variable.textContent + ": " + variable.title;
  };
  list.addEventListener("pointerover", show);
  list.addEventListener("click", show);
})();
