// The form of a digest's plan: the length of a note follows each key, and whoever
// leaves with words that were not saved is asked. Without this script the page
// counts when it is shown again.
const form = document.querySelector("form.plan");

// Columns as internal/desk/platforms.go counts them: grapheme clusters, of which
// East Asian wide ones and emoji take two.
const wide = /^[\u1100-\u115f\u231a\u231b\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]|^[\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}|^\p{RI}\p{RI}|\ufe0f/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

function columns(text) {
  let n = 0;
  for (const { segment } of graphemes.segment(text)) n += wide.test(segment) ? 2 : 1;
  return n;
}

for (const note of form?.querySelectorAll(".note") ?? []) {
  const words = note.querySelector("textarea");
  const out = note.querySelector(".length");
  words.addEventListener("input", () => {
    const n = columns(words.value.trim().replace(/\s+/g, " "));
    out.textContent = `${n} of ${out.dataset.most} columns`;
    out.classList.toggle("over", n > Number(out.dataset.most));
    form.dataset.unsaved = "";
  });
}

let sending = false;
form?.addEventListener("submit", () => { sending = true; });
window.addEventListener("beforeunload", (e) => {
  if (form?.method === "post" && form.dataset.unsaved !== undefined && !sending) e.preventDefault();
});
