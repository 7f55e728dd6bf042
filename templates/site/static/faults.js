// faultsSaid puts what the API found wrong into the page's language, each field once,
// in the order of the page. other: there is something that no field of it is.
export function faultsSaid(errors) {
  const wrong = new Set((errors || []).map(e => String(e.path || "").split("/")[0]));
  const found = [...document.getElementById("fault-words").content.querySelectorAll("[data-fault]")].filter(e => wrong.delete(e.dataset.fault));
  return { said: found.map(e => e.textContent), fields: found.map(e => e.dataset.fault), other: wrong.size > 0 };
}
