# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The part of the page that plays clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from paddletsm.report.charts import frame_chart
from paddletsm.report.strips import Strip
from paddletsm.report.words import percent
from paddletsm.utils.html import escape, image
from paddletsm.utils.text import plural

STYLE = """
.clips{display:grid;gap:1rem}
.clip{display:grid;grid-template-columns:9.5rem minmax(0,1fr);gap:.4rem 1.1rem}
.clip h3{margin:0 0 .1rem;font-size:.98rem}
.clip p{margin:0 0 .45rem}
.player{display:flex;flex-direction:column;gap:.45rem}
.player canvas{width:100%;height:auto;border-radius:6px;background:var(--tint);display:block}
.player div{display:flex;align-items:center;gap:.6rem}
.player output{color:var(--muted);font-size:.84rem;font-variant-numeric:tabular-nums}
.film{position:relative}
.film img{display:block;width:100%;border-radius:4px}
.film .cursor{position:absolute;top:0;bottom:0;border:2px solid var(--c1);border-radius:4px;
pointer-events:none}
.bars{display:block;width:100%;height:3.2rem;margin-top:.35rem}
.clip .legend{margin:.3rem 0 0}
[hidden]{display:none!important}
@media (max-width:32rem){.clip{grid-template-columns:minmax(0,1fr)}
.player{flex-direction:row;align-items:flex-end}.player canvas{width:55%}
.player div{flex-direction:column;align-items:flex-start}}
"""

# Without scripts the strips still stand there. With reduced motion the button steps instead.
SCRIPT = """
const still = matchMedia("(prefers-reduced-motion: reduce)");
for (const clip of document.querySelectorAll(".clip")) {
  const film = clip.querySelector(".film"), picture = film.querySelector("img");
  const canvas = clip.querySelector("canvas"), button = clip.querySelector("button");
  const said = clip.querySelector("output"), cursor = film.querySelector(".cursor");
  const title = clip.querySelector("h3").textContent, count = Number(clip.dataset.frames);
  let frame = 0, timer = 0;
  const show = (next) => {
    frame = (next + count) % count;
    canvas.getContext("2d").drawImage(picture, frame * canvas.width, 0, canvas.width,
      canvas.height, 0, 0, canvas.width, canvas.height);
    said.textContent = (frame + 1) + " / " + count;
    cursor.style.left = 100 * frame / count + "%";
    cursor.style.width = 100 / count + "%";
  };
  const label = () => {
    button.textContent = timer ? "Pause" : still.matches ? "Next" : "Play";
    button.setAttribute("aria-label", button.textContent + " " + title);
  };
  const stop = () => { clearInterval(timer); timer = 0; label(); };
  const play = () => {
    if (timer) { stop(); return; }
    if (still.matches) { show(frame + 1); return; }
    timer = setInterval(() => show(frame + 1), 250);
    label();
  };
  button.addEventListener("click", play);
  canvas.addEventListener("click", play);
  still.addEventListener("change", stop);
  clip.addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (step && event.target === button) { stop(); show(frame + step); event.preventDefault(); }
  });
  film.addEventListener("click", (event) => {
    const box = film.getBoundingClientRect();
    stop(); show(Math.min(count - 1, Math.floor(count * (event.clientX - box.left) / box.width)));
  });
  const start = () => {
    clip.querySelector(".player").hidden = cursor.hidden = false;
    label(); show(0);
  };
  if (picture.complete) start(); else picture.addEventListener("load", start);
}
"""


def clips_section(strips: Sequence[Strip], names: Sequence[str]) -> str:
    """Cards of all strips."""
    cards = "".join(_card(strip, names) for strip in strips)
    return f'<div class="clips">{cards}</div>\n'


def _card(strip: Strip, names: Sequence[str]) -> str:
    guess = strip.guess
    label, rival = names[guess.label], names[strip.rival]
    has_rival = strip.rival != guess.label
    path = PurePath(guess.path)
    title = escape("/".join(path.parts[-2:]))
    score = percent(100 * guess.score)
    if guess.is_right:
        verdict = f'<span class="ok">right</span>: {escape(label)}, {score}'
    else:
        verdict = (
            f'<span class="bad">{escape(rival)}</span>, {score}; the label is '
            f"<b>{escape(label)}</b>"
        )
    if strip.views > 1:
        verdict += f' <span class="muted">(first of {strip.views} views)</span>'
    width, height = strip.size
    shown = ", ".join(str(index) for index in strip.indices)
    about = f"{plural(strip.frames, 'frame')} of {guess.path} from left to right: {shown}"
    legend = [f'<li><i class="d1"></i>{escape(label)} (label)</li>']
    if has_rival:
        role = "runner-up" if guess.is_right else "prediction"
        legend.append(f'<li><i class="d2"></i>{escape(rival)} ({role})</li>')
    chart = frame_chart(strip.own, strip.other if has_rival else None, [label, rival])
    return (
        f'<article class="card clip" data-frames="{strip.frames}">'
        f'<div class="player" hidden><canvas width="{width}" height="{height}" role="img" '
        f'aria-label="{escape("The clip " + guess.path)}"></canvas><div>'
        f'<button type="button" aria-keyshortcuts="ArrowLeft ArrowRight">Play</button>'
        "<output></output></div></div>"
        f"<div><h3>{title.replace('/', '/<wbr>')}</h3><p>{verdict}</p>"
        f'<div class="film">{image(strip.jpeg, about)}<span class="cursor" hidden></span></div>'
        f'{chart}<ul class="legend">{"".join(legend)}</ul></div></article>\n'
    )
