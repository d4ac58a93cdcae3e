// Package app puts the parts together: it reads the configuration, opens the
// list, starts server and detector, and stops them in the right order. It is
// the only package that knows all the others; they know each other only by
// the connection log and the list.
//
// The first call is [Load] (or [Default], without a file), then one of
//
//   - [Serve]: server, list and, unless it runs elsewhere, the detector;
//   - [Detect]: the detector alone, beside a server in another process;
//   - [Top]: the ranking of a log as it grows, nothing decided;
//   - [ExplainWhy] and [ExplainSource]: why a pool refuses, and what is held
//     against a source, from a log and the list, nothing decided;
//   - [Analyze] and [DiffPolicies]: what policies do with finished logs.
//
// What is not here on purpose: words for people (package main has them all)
// and anything that decides whom to ban (package detector).
package app
