// The page of a reader's choices works without this; it adds the search.
import { search } from "./places.js";

const places = document.getElementById("places");
if (places) search(places);
const faults = document.getElementById("faults");
if (faults) faults.focus();
