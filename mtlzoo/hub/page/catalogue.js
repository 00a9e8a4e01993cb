"use strict";

const form = document.querySelector("form");
const articles = [...document.querySelectorAll("article")];
const count = document.querySelector("#count");

// Each word must occur; each choice must be among the article's own.
function filter() {
  const data = new FormData(form);
  const words = data.get("words").toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const article of articles) {
    const found = words.every((word) => article.dataset.words.includes(word));
    const chosen = ["kind", "license", "data"].every((name) => {
      const choice = data.get(name);
      return !choice || article.dataset[name].split("\n").includes(choice);
    });
    article.hidden = !(found && chosen);
    shown += !article.hidden;
  }
  count.textContent = `${shown} of ${articles.length}`;
}

form.addEventListener("input", filter);
form.addEventListener("change", filter);
form.addEventListener("submit", (event) => event.preventDefault());

for (const button of document.querySelectorAll(".code button")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      // No clipboard in a file of the disk: select it, so that one key copies.
      getSelection().selectAllChildren(code);
      button.textContent = "selected";
    }
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
}

filter();
