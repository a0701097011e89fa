// What the search shows first: titles, then pages that explain a term, then those that name it. Of equals, a chapter
// comes before a page that defines, and that before a sheet that examines.
"use strict";

var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 40,
  partialTitle: 14,
  term: 5,
  partialTerm: 2,
  score: ([page, , , , score]) =>
    score + (page.startsWith("chapters/exercises/") ? -4 : page.startsWith("chapters/") ? 4 : 0),
};
