// The form for an API key offers what the person it acts for can have.
const editor = document.getElementById("editor");
const picks = document.querySelectorAll("label[data-roles]");

function offer() {
  const { role, self } = editor.selectedOptions[0].dataset;
  for (const pick of picks) {
    const can = pick.dataset.roles.split(" ").includes(role) && (pick.dataset.own === undefined || self !== undefined);
    const box = pick.querySelector("input");
    pick.hidden = !can;
    box.disabled = !can;
  }
}

editor.addEventListener("change", offer);
addEventListener("pageshow", offer);
offer();
