"use strict";
document.documentElement.classList.add("js");

// Before and after: the range input moves the dividing line; arrow keys come with it.
for (const input of document.querySelectorAll(".pair input")) {
  const [before, after] = [".left", ".right"].map(
    side => input.parentElement.querySelector(".tag" + side).textContent);
  const show = () => {
    input.parentElement.style.setProperty("--at", input.value + "%");
    input.setAttribute("aria-valuetext", `${input.value}% ${before}, ${100 - input.value}% ${after}`);
  };
  input.addEventListener("input", show);
  show();
}

// Paper cannot be unfolded.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
});
