// Package page writes what an analysis found as one HTML file that can be sent
// to somebody: it asks nothing of any network, runs no script, and is read on a
// phone, on a large screen, in the dark and on paper.
//
// The model is a [Page] of sentences, numbers and series, in the order in which
// they are read: the verdict and what to do, then the picture of the pool over
// time, then the evidence in tables. The first call is also the only one:
//
//	err := page.Write(w, &page.Page{Title: "mail.log", Verdicts: verdicts})
//
// What it knows is how to draw and how to be safe. Every text may have come
// from a client: it is escaped, freed of what could hide or reorder it, and cut
// where it is too long. The file stays below [MaxBytes], whatever it is given;
// rows that have no room are counted at the end of their table. A policy in the
// file itself forbids the browser to load or run anything.
//
// Absent on purpose: words. The package knows nothing of detectors and writes
// no sentence of its own, so that the page says what the commands say. Nor does
// it choose what is worth a row; it draws what it gets.
package page
