"""How the page looks: light or dark as the reader's device asks, and readable on a phone and on paper."""

from __future__ import annotations

from typing import Final

# Colors of Okabe and Ito's palette, each made lighter or darker where the contrast to its ground asks for it.
STYLE: Final = """
:root{--ground:#fff;--ink:#1c2024;--quiet:#5c6570;--edge:#d9dee3;--soft:#f4f6f8;--h0:#0072b2;--h1:#c04d00;--h2:#00795a;
--h3:#a4487f;--h4:#8a6d00;--h5:#4a5560;--other:#c3cad1;--shade:#0072b2;--warn:#fff4e0;--warn-edge:#d98e00}
@media (prefers-color-scheme:dark){:root{--ground:#14181c;--ink:#e6e9ec;--quiet:#9aa5b1;--edge:#353d45;--soft:#1d2328;
--h0:#56b4e9;--h1:#f08a4b;--h2:#2fc79a;--h3:#dc92c0;--h4:#e0b93a;--h5:#b8c2cc;--other:#4a545e;--shade:#3d8fc4;
--warn:#33290f;--warn-edge:#b57f16}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1320px;padding:0 20px 40px;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.6rem;margin:1.2rem 0 .2rem;line-height:1.2}
h2{font-size:1.25rem;margin:0 0 .3rem;line-height:1.25;overflow-wrap:anywhere}
p{margin:.4rem 0;max-width:80ch;overflow-wrap:anywhere}
.quiet,.note{color:var(--quiet)}
.note{font-size:.875rem}
nav ul{list-style:none;margin:.6rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem}
a{color:var(--h0)}
section{margin-top:2rem;padding-top:1.2rem;border-top:1px solid var(--edge)}
.found{margin:.8rem 0;padding:.2rem 1rem;border-left:4px solid var(--h0);background:var(--soft)}
.damaged{margin:.8rem 0;padding:.2rem 1rem;border-left:4px solid var(--warn-edge);background:var(--warn)}
.damaged ul{margin:.2rem 0 .6rem;padding-left:1.2rem}
.damaged li{overflow-wrap:anywhere}
.wide{overflow-x:auto;margin:1.2rem 0 .2rem;max-width:100%}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:0 0 .3rem;font-size:1rem;white-space:nowrap}
th,td{padding:.3rem .6rem;text-align:left;vertical-align:baseline;border-bottom:1px solid var(--edge);
white-space:nowrap}
thead th{color:var(--quiet);font-weight:600;border-bottom:2px solid var(--edge);white-space:normal;
vertical-align:bottom;line-height:1.25}
td.w{white-space:normal;min-width:15rem;max-width:26rem;overflow-wrap:anywhere}
tbody th{font-weight:500;position:sticky;left:0;background:var(--ground)}
.n{text-align:right}
td.n:has(span){white-space:normal}
td span{white-space:nowrap}
.strong th,.strong td{font-weight:700}
td[style]{background:color-mix(in srgb,var(--shade) calc(var(--depth)*.45),var(--ground))}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,350px),1fr));gap:1rem 1.5rem;margin:.8rem 0}
figure{margin:0;min-width:0}
figcaption{font-weight:600}
svg{display:block;width:100%;height:auto;max-width:560px}
.keys{list-style:none;margin:1.2rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;font-size:.875rem}
.keys li{display:flex;align-items:center;gap:.4rem;min-width:0;overflow-wrap:anywhere}
.key{width:28px;flex:none}
svg text{font-size:11.5px;fill:var(--quiet);font-variant-numeric:tabular-nums}
.e{text-anchor:end}
.c{text-anchor:middle}
svg .t{font-weight:700;font-size:12px;fill:currentColor}
.g{stroke:var(--edge);fill:none}
.l{fill:none;stroke:currentColor;stroke-width:1.9;stroke-linejoin:round}
.d{stroke-dasharray:5 3.5;stroke-width:1.4;opacity:.75}
.b{fill:none;stroke:currentColor;stroke-width:1.4}
.i{fill:currentColor;opacity:.16}
.m{fill:currentColor;stroke:var(--ground);stroke-width:1}
.h0{color:var(--h0)}.h1{color:var(--h1)}.h2{color:var(--h2)}.h3{color:var(--h3)}.h4{color:var(--h4)}.h5{color:var(--h5)}
.other{color:var(--other)}
.other.l{stroke-width:1.1}
.star{fill:var(--h4);stroke:var(--ink);stroke-width:1}
.diamond{fill:var(--ground);stroke:var(--ink);stroke-width:1.8}
details{margin:1rem 0;padding:.4rem .8rem;border:1px solid var(--edge);border-radius:6px}
summary{cursor:pointer;font-weight:600}
footer{margin-top:2.5rem;font-size:.875rem}
@media (max-width:600px){body{padding:0 14px 30px;font-size:15px}th,td{padding:.3rem .5rem}
tbody th{min-width:5.5rem;max-width:34vw;white-space:normal;overflow-wrap:anywhere}}
@media print{.wide{overflow:visible}section{break-inside:avoid-page}}
"""
