// On the page of an alert, for a reader who follows with this browser: mute its
// story, or hear of it only when it is over. The same as on a notification.
const { Dateline } = globalThis; // embed.js, from the page's head
const box = document.getElementById("wish");
const said = document.getElementById("wish-said");
const back = document.getElementById("wish-back");

const known = await Dateline.known;
box.hidden = !["follows", "anew"].includes(known.status);
box.addEventListener("click", async event => {
  const { want } = event.target.dataset;
  if (!want) return;
  // Who does not answer in time has noted it; one that can't be reached has not.
  const { kept, became } = await Dateline.story(box.dataset.alert, want).catch(error => ({ kept: false, became: error.code === "timeout" ? "next" : "failed" }));
  said.textContent = kept ? said.dataset[want] || "" : said.dataset[became] || said.dataset.failed;
  back.hidden = want === "all" || !kept;
  box.dataset.kept = kept ? want : "";
});
