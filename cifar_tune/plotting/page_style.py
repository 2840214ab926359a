"""The style sheet of a report's page: one column, wide tables scroll, dark where the reader's screen is."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --muted: #5b6570; --line: #d5dae0; --paper: #ffffff; --soft: #f4f6f8; --link: #0b5cad;
}
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --muted: #9aa5b1; --line: #39424c; --paper: #14181d; --soft: #1d232a; --link: #7cc0ff; }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .5rem 0; }
p, li { overflow-wrap: anywhere; }
a { color: var(--link); }
.question { color: var(--muted); }
.answer { font-size: 1.1rem; }
.standing { background: var(--soft); border-left: 4px solid var(--link); padding: .6rem .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td {
  text-align: left; vertical-align: top; white-space: nowrap;
  padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line);
}
td:last-child { white-space: normal; overflow-wrap: anywhere; min-width: 4rem; }
th { color: var(--muted); font-weight: 600; }
th.number, td.number { text-align: right; }
.first td { font-weight: 650; }
figure { margin: 1rem 0; overflow-x: auto; }
img { display: block; max-width: 100%; height: auto; }
.ring, .tip { position: fixed; pointer-events: none; z-index: 1; }
.ring { width: 14px; height: 14px; margin: -7px; border: 2px solid var(--ink); border-radius: 50%; }
.tip {
  max-width: min(26rem, calc(100vw - 16px)); padding: .35rem .6rem; white-space: pre-line; overflow-wrap: anywhere;
  background: var(--paper); color: var(--ink); border: 1px solid var(--muted); border-radius: 4px; font-size: .85rem;
}
footer { margin-top: 3rem; color: var(--muted); font-size: .85rem; }
@media (max-width: 40rem) {
  body { font-size: 15px; }
  main { padding: 1.25rem .9rem 3rem; }
  img { max-width: none; min-width: 34rem; }
}
@media print {
  .ring, .tip { display: none; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  a { color: inherit; }
  .wide, figure { overflow: visible; }
}
"""
