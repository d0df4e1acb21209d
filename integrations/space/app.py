"""A page that cuts the subject out of a photo or a short clip with a picture of the empty set.

    pip install cleanplate gradio
    python app.py                      # http://127.0.0.1:7860

The same files are a Space of the Hugging Face hub. ``CLEANPLATE_MODEL`` names another model, as
``hf:owner/name@revision`` (then with the extra ``hub``).
"""

import os
import re
import tempfile
from pathlib import Path

import gradio as gr

import cleanplate
from cleanplate.compositing import Finish
from cleanplate.media import Reading, Span
from cleanplate.plate import check_plate

MODEL = os.environ.get("CLEANPLATE_MODEL", cleanplate.vocabulary.DEFAULT_MODEL)
LONGEST_SECONDS = float(os.environ.get("CLEANPLATE_SECONDS", "15"))
SAMPLES = Path(__file__).parents[2] / "samples"


def key_photo(photo, plate, despill, colour):
    """Key a photo; gives the cut-out (PNG), the photo over a colour, and the report on the plate."""
    with explaining():
        check_given(photo=photo, plate=plate)
        report = describe(check_plate(plate, photo))
        result = cleanplate.matte_image(photo, plate=plate, model=MODEL, finish=Finish(despill=despill))
        cut = make_path(Path(photo).stem, ".png")
        result.save(cut)
        return str(cut), result.composite(read_colour(colour)), report


def key_clip(clip, plate, follow, kind, colour, progress=gr.Progress()):  # noqa: B008 - Gradio's way
    """Key the beginning of a clip; gives a film over a colour, or one with alpha (WebM or ProRes 4444)."""
    with explaining():
        check_given(clip=clip, plate=plate)
        suffix, layer = KINDS[kind]
        out = make_path(Path(clip).stem, suffix)
        cleanplate.matte_video(
            clip,
            plate=plate,
            out=out,
            model=MODEL,
            save=[layer],
            background=read_colour(colour) if layer == "composite" else None,
            follow=follow,
            reading=Reading(span=Span.parse(f"0-{LONGEST_SECONDS:g}")),
            on_progress=lambda done: progress((done.frames, done.total), unit="frames"),
            on_note=gr.Info,
        )
        return str(out), str(out) if suffix != ".mov" else None


KINDS = {
    "over a colour (MP4)": (".mp4", "composite"),
    "with alpha (WebM)": (".webm", "cutout"),
    "with alpha for editors (ProRes 4444)": (".mov", "cutout"),
}


class explaining:  # noqa: N801 - used as a function
    """Show errors of cleanplate on the page, without a traceback."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, cleanplate.CleanplateError):
            raise gr.Error(str(error), print_exception=False) from error


def check_given(**files):
    """Show an error for the first file that is missing."""
    for name, path in files.items():
        if path is None:
            raise gr.Error(f"Add the {name}.", print_exception=False)


def read_colour(text):
    """Colour of Gradio's picker, ``#rrggbb`` or ``rgba(0, 177.5, 64, 1)``, as ``#rrggbb``."""
    if not text.startswith("rgb"):
        return text
    red, green, blue = (round(float(number)) for number in re.findall(r"[\d.]+", text)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


def describe(diagnosis):
    """The check of a plate as Markdown."""
    lines = [f"**The plate is {diagnosis.verdict}.**", ""]
    lines += [f"- {finding.topic}: {finding.message} {finding.advice}" for finding in diagnosis.findings]
    return "\n".join(lines)


def make_path(stem, suffix):
    """Path of a result in a new folder, which Gradio deletes later."""
    return Path(tempfile.mkdtemp(prefix="cleanplate-")) / f"{stem}.cut{suffix}"


def make_page():
    """Lay out the page."""
    with gr.Blocks(title="cleanplate", delete_cache=(3600, 3600)) as page:
        gr.Markdown("# cleanplate\nA photo or clip, and a picture of the same set with nobody in it.")
        with gr.Tab("Photo"):
            with gr.Row():
                photo = gr.Image(type="filepath", label="Photo")
                plate = gr.Image(type="filepath", label="Clean plate")
            with gr.Row():
                despill = gr.Slider(0, 1, 0.5, step=0.05, label="Despill")
                colour = gr.ColorPicker("#00b140", label="Backdrop")
            run = gr.Button("Key", variant="primary")
            with gr.Row():
                over = gr.Image(label="Over the backdrop", format="png")
                with gr.Column():
                    cut = gr.File(label="Cut-out, PNG with alpha")
                    report = gr.Markdown()
            run.click(key_photo, [photo, plate, despill, colour], [cut, over, report])
            if SAMPLES.is_dir():
                gr.Examples([[str(SAMPLES / "photo.jpg"), str(SAMPLES / "plate.jpg")]], [photo, plate])
        with gr.Tab("Clip"):
            with gr.Row():
                clip = gr.Video(label=f"Clip (the first {LONGEST_SECONDS:g} s)")
                clip_plate = gr.Image(type="filepath", label="Clean plate")
            with gr.Row():
                kind = gr.Radio(list(KINDS), value=next(iter(KINDS)), label="Result")
                follow = gr.Checkbox(label="Follow light and small motion")
                clip_colour = gr.ColorPicker("#00b140", label="Backdrop")
            run_clip = gr.Button("Key", variant="primary")
            with gr.Row():
                shown = gr.Video(label="Result")
                file = gr.File(label="File")
            run_clip.click(key_clip, [clip, clip_plate, follow, kind, clip_colour], [file, shown])
    return page


if __name__ == "__main__":
    make_page().queue(max_size=20, default_concurrency_limit=1).launch(allowed_paths=[str(SAMPLES)])
