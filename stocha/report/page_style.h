// The style sheet and the script of the report, as they stand in the page.
//
// r0 .. r6 are the colours of runs (Okabe and Ito, jfly.uni-koeln.de/color, less the one that its
// background swallows), q0 .. q7 those of layers, first to last. Neither text holds "<" or "&", so
// the page is well-formed XML too.
#ifndef STOCHA_REPORT_PAGE_STYLE_H_
#define STOCHA_REPORT_PAGE_STYLE_H_

#include <string_view>

namespace stocha {

inline constexpr std::string_view kPageStyle = R"css(
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#5a6370;--rule:#d9dde3;--tile:#f5f6f8}
.r0{--c:#0072b2}.r1{--c:#d55e00}.r2{--c:#009e73}.r3{--c:#cc79a7}.r4{--c:#e69f00}.r5{--c:#56b4e9}.r6{--c:#000}
.q0{--c:#440154}.q1{--c:#472d7b}.q2{--c:#3b528b}.q3{--c:#2c728e}.q4{--c:#21918c}.q5{--c:#1f9f79}.q6{--c:#4a9b3f}.q7{--c:#8a8f0c}
@media (prefers-color-scheme:dark){
:root{--paper:#14171b;--ink:#e8eaed;--soft:#a3acb8;--rule:#343a42;--tile:#1e2228}
.r0{--c:#56b4e9}.r1{--c:#e8731a}.r2{--c:#19b68a}.r3{--c:#d78fb8}.r4{--c:#e69f00}.r5{--c:#f0e442}.r6{--c:#fff}
.q0{--c:#a583e8}.q1{--c:#8694e8}.q2{--c:#62b0e4}.q3{--c:#48c4cc}.q4{--c:#4dd0a2}.q5{--c:#86d873}.q6{--c:#c2de4c}.q7{--c:#fde725}
.faint{--faint:.6}
}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 3rem;max-width:62.5rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{margin:0 0 .25rem;font-size:1.75rem;line-height:1.2;overflow-wrap:anywhere}
h2{margin:2.5rem 0 .25rem;font-size:1.25rem}
h3{margin:1.25rem 0 0;font-size:1rem;overflow-wrap:anywhere}
p{margin:0 0 .75rem;max-width:46rem}
.soft,figcaption span,dt{color:var(--soft)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.5rem,1fr));gap:.5rem;margin:1.25rem 0}
dl div{padding:.5rem .75rem;background:var(--tile);border-radius:.375rem}
dt{font-size:.8125rem}
dd{margin:0;font-weight:600;overflow-wrap:anywhere}
ul{margin:.5rem 0;padding:0;list-style:none;font-size:.875rem}
.runs li{margin:.25rem 0;overflow-wrap:anywhere}
.key{display:flex;flex-wrap:wrap;gap:.125rem 1.25rem;color:var(--soft)}
figure{position:relative;margin:1rem 0 0;min-width:0}
figcaption{margin-bottom:.25rem;font-weight:600}
figcaption span{font-weight:400;font-size:.875rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:.5rem 1.5rem}
svg.chart{display:block;max-width:100%;height:auto;overflow:visible;touch-action:pan-y}
svg.swatch{display:inline-block;height:14px;vertical-align:-1px;margin-right:.375rem}
svg text{font-size:12px;fill:var(--soft)}
svg .label{fill:var(--ink)}
svg .mid{text-anchor:middle}
svg .end{text-anchor:end}
.ink{--c:var(--ink)}
.grid{stroke:var(--rule)}
.axis{stroke:var(--soft)}
.curve,.faint,.switch{fill:none;stroke:var(--c,var(--ink));stroke-linejoin:round}
.curve{stroke-width:2;stroke-linecap:round}
.d1{stroke-dasharray:7 5}.d2{stroke-dasharray:1 5}.d3{stroke-dasharray:9 5 1 5}.d4{stroke-dasharray:3 5}
.dot{stroke-width:7;stroke-dasharray:none}
.faint{stroke-width:1;opacity:var(--faint,.42)}
.switch{stroke-width:1.25;stroke-dasharray:4 3}
.on-map{stroke:#fff}
.filled{fill:var(--c);stroke:var(--paper)}
.hollow{fill:var(--paper);stroke:var(--c);stroke-width:1.75}
.cells{shape-rendering:crispEdges;stroke-width:1}
.narrow{display:none}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top}
th:first-child{text-align:left;font-weight:400}
thead th{font-weight:600;overflow-wrap:break-word}
tbody .group th{padding-top:1rem;font-weight:600}
details{margin:.25rem 0 0;font-size:.8125rem}
summary{color:var(--soft);cursor:pointer}
pre{padding:1rem;background:var(--tile);border-radius:.375rem;white-space:pre-wrap;overflow-wrap:anywhere;font:.875rem/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
.readout{position:absolute;z-index:1;padding:.375rem .625rem;background:var(--paper);border:1px solid var(--rule);border-radius:.375rem;box-shadow:0 2px 8px #0003;font-size:.8125rem;line-height:1.4;pointer-events:none;white-space:nowrap}
.readout i{display:inline-block;width:.625rem;height:.625rem;margin-right:.375rem;border-radius:50%;background:var(--c)}
.cursor{stroke:var(--soft)}
@media screen and (max-width:40rem){
body{padding:1.25rem 1rem 2rem}
h1{font-size:1.375rem}
.wide{display:none}
.narrow{display:block}
}
@media print{
:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--tile:#f3f3f3}
body{padding:0;font-size:11pt}
figure,dl div,tr,li{break-inside:avoid}
h2,h3{break-after:avoid}
details,.readout,.cursor{display:none}
.pair{grid-template-columns:1fr 1fr}
table{font-size:8pt}
tbody th{white-space:nowrap}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
)css";

// Values under the pointer, read back from the paths. The page is whole without it.
inline constexpr std::string_view kPageScript = R"js(
for (const svg of document.querySelectorAll('svg[data-x]')) {
  const axis = (text) => {
    const [lo, hi, from, to] = text.split(' ', 4).map(Number);
    return {lo, hi, from, to, log: text.endsWith('log')};
  };
  const x = axis(svg.dataset.x), y = axis(svg.dataset.y), figure = svg.closest('figure');
  const value = (a, pixel) => {
    const share = (pixel - a.from) / (a.to - a.from);
    return a.log ? a.lo * Math.pow(a.hi / a.lo, share) : a.lo + share * (a.hi - a.lo);
  };
  const show = (v) => svg.dataset.format === 'percent'
      ? Number((100 * v).toPrecision(3)) + '%'
      : Math.abs(v) >= 1e4 ? Math.round(v).toLocaleString('en') : String(Number(v.toPrecision(4)));
  const curves = [...svg.querySelectorAll('[data-label]')].map((path) => ({
    path,
    markers: path.dataset.at !== undefined,
    stretches: (path.dataset.at ?? path.getAttribute('d')).split('M').slice(1).map((stretch) =>
        stretch.split('L').map((pair) => pair.split(' ').map(Number))),
  }));
  // The height of a curve at a pixel; markers answer within 6 pixels.
  const heightAt = ({markers, stretches}, at) => {
    if (markers) {
      const near = stretches.map(([p]) => p).filter((p) => 6 >= Math.abs(p[0] - at));
      near.sort((a, b) => Math.abs(a[0] - at) - Math.abs(b[0] - at));
      return near[0]?.[1];
    }
    for (const points of stretches) {
      const next = points.findIndex((p) => p[0] >= at);
      if (next === 0) {
        if (1 >= points[0][0] - at) return points[0][1];
      } else if (next > 0) {
        const [a, b] = [points[next - 1], points[next]];
        return b[0] > a[0] ? a[1] + (at - a[0]) / (b[0] - a[0]) * (b[1] - a[1]) : b[1];
      }
    }
  };
  let box, line;
  const hide = () => { box?.remove(); line?.remove(); box = line = undefined; };
  const move = (event) => {
    const frame = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / frame.width;
    const at = Math.min(x.to, Math.max(x.from, (event.clientX - frame.left) * scale));
    if (!box) {
      box = figure.appendChild(document.createElement('div'));
      box.className = 'readout';
      box.setAttribute('aria-hidden', 'true');
      line = svg.appendChild(document.createElementNS(svg.namespaceURI, 'path'));
      line.setAttribute('class', 'cursor');
    }
    line.setAttribute('d', `M${at} ${y.to}V${y.from}`);
    box.textContent = svg.dataset.xName + ' ' + Math.round(value(x, at)).toLocaleString('en');
    for (const curve of curves) {
      const height = heightAt(curve, at);
      if (height === undefined) continue;
      const row = box.appendChild(document.createElement('div'));
      row.className = curve.path.getAttribute('class').split(' ')[1];
      row.appendChild(document.createElement('i'));
      row.append(curve.path.dataset.label + ' ' + show(value(y, height)));
    }
    const home = figure.getBoundingClientRect(), left = event.clientX - home.left;
    box.style.top = frame.top - home.top + 'px';
    box.style.left = (left > home.width / 2 ? Math.max(0, left - box.offsetWidth - 12) : left + 12) + 'px';
  };
  svg.addEventListener('pointermove', move);
  svg.addEventListener('pointerdown', move);
  svg.addEventListener('pointerleave', hide);
}
)js";

}  // namespace stocha

#endif  // STOCHA_REPORT_PAGE_STYLE_H_
