#!/usr/bin/env python3
"""Compares data sets as the built library reads them with NumPy and Pillow.

usage: check_data_sets.py DUMP_PROGRAM

DUMP_PROGRAM is fewbit_data_dump from the build. Pictures of every mode that JPEG and PNG know are
made on the spot, decoded, resized and cropped by both; arrays are written in every container. Pictures
must agree bit for bit, and so must all values after them.
"""
import gzip
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

DUMP = sys.argv[1]
RANDOM = np.random.default_rng(1)
MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]
checks = 0


def dump(folder, toml):
    """The data set's feeds and labels, or the error message."""
    (folder / "set.toml").write_text(toml)
    done = subprocess.run([DUMP, str(folder / "set.toml"), str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        return done.stderr.strip()
    feeds = [np.load(path) for path in sorted(folder.glob("feed*.npy"))]
    return feeds, np.load(folder / "labels.npy"), done.stdout


def expect_equal(what, ours, theirs):
    global checks
    checks += 1
    if isinstance(ours, str):
        sys.exit(f"{what}: {ours}")
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        sys.exit(f"{what}: {ours.shape} {ours.dtype} is not {theirs.shape} {theirs.dtype}")
    if not np.array_equal(ours, theirs):
        worst = np.abs(ours.astype(float) - theirs.astype(float)).max()
        sys.exit(f"{what}: differs by up to {worst} at {np.count_nonzero(ours != theirs)} places")


def photo(height, width, channels):
    """Smooth structures, edges and noise: what JPEG and resizing treat differently."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for c in range(channels):
        smooth = 90 + 80 * np.sin(x / (7.0 + c)) * np.cos(y / (11.0 - c))
        edge = 60 * ((x // 13 + y // 9 + c) % 2)
        planes.append(smooth + edge + RANDOM.normal(0, 6, (height, width)))
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def pictures():
    rgb = Image.fromarray(photo(211, 157, 3))
    gray = Image.fromarray(photo(90, 120, 1)[..., 0])
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield f"jpeg {subsampling}", rgb, "jpg", dict(quality=85, subsampling=subsampling)
    yield "jpeg progressive", rgb, "jpg", dict(quality=60, progressive=True)
    yield "jpeg gray", gray, "jpeg", dict(quality=90)
    yield "jpeg cmyk", Image.fromarray(photo(64, 80, 4), "CMYK"), "jpg", dict(quality=90)
    yield "jpeg rgb kept", rgb, "jpg", dict(quality=90, keep_rgb=True)
    yield "png rgb", rgb, "png", {}
    yield "png gray", gray, "png", {}
    yield "png rgba", Image.fromarray(photo(50, 40, 4), "RGBA"), "PNG", {}
    yield "png gray alpha", Image.fromarray(photo(50, 40, 2), "LA"), "png", {}
    yield "png palette", rgb.quantize(64), "png", {}
    yield "png two colours", gray.convert("1"), "png", {}


STEPS = [
    ("", lambda im: im),
    ("resize = 64", lambda im: short(im, 64)),
    ("resize = 300\ncrop = 224", lambda im: centre(short(im, 300), 224, 224)),
    ("resize = [33, 70]", lambda im: resize(im, 70, 33)),
    ("crop = [37, 22]", lambda im: centre(im, 37, 22)),
    ("resize = [48, 48]\nfit = 'cover'", lambda im: cover(im, 48, 48)),
    ("resize = [48, 64]\nfit = 'contain'\npad = 114", lambda im: contain(im, 48, 64, 114)),
]


def resize(im, width, height):
    """Rows first: Pillow did so always up to version 12, from 13 on it depends on the sizes."""
    return im.resize((width, im.height), Image.BILINEAR).resize((width, height), Image.BILINEAR)


def short(im, size):
    side = min(im.size)
    return resize(im, *(size if s == side else size * s // side for s in im.size))


def centre(im, height, width):
    top, left = (im.height - height) // 2, (im.width - width) // 2
    return im.crop((left, top, left + width, top + height))


def cover(im, height, width):
    ratio = max(width / im.width, height / im.height)
    return centre(resize(im, max(width, round(im.width * ratio)), max(height, round(im.height * ratio))),
                  height, width)


def contain(im, height, width, pad):
    ratio = min(width / im.width, height / im.height)
    small = resize(im, min(width, round(im.width * ratio)), min(height, round(im.height * ratio)))
    out = Image.new("RGB", (width, height), (pad, pad, pad))
    out.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return out


def check_pictures(folder):
    for name, picture, extension, options in pictures():
        images = folder / name.replace(" ", "_").replace(":", "")
        images.mkdir()
        file = images / f"a.{extension}"
        picture.save(file, **options)
        for number, (step, reference) in enumerate(STEPS):
            if number == 2 and picture.size[0] < 100:
                continue
            result = dump(images, f"kind = 'images'\n[preprocess]\nlayout = 'nhwc'\n{step}\n")
            with Image.open(file) as opened:
                expected = np.asarray(reference(opened.convert("RGB")), np.float32)[None]
            expect_equal(f"{name}, {step!r}", result if isinstance(result, str) else result[0][0], expected)
    with Image.open(folder / "jpeg_420" / "a.jpg") as opened:
        rgb = opened.convert("RGB")
    for channels, expected in (
        ("bgr", np.asarray(rgb)[..., ::-1]),
        ("gray", np.asarray(rgb.convert("L"))[..., None]),
    ):
        result = dump(folder / "jpeg_420", f"kind = 'images'\n[preprocess]\nchannels = '{channels}'\n")
        expect_equal(channels, result[0][0], expected.astype(np.float32).transpose(2, 0, 1)[None])
    result = dump(folder / "jpeg_420", "kind = 'images'\n[preprocess]\nscale = 255.0\n"
                  f"mean = {MEAN}\nstd = {STD}\n")
    values = (np.asarray(rgb, np.float32) / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    expect_equal("scale, mean, std", result[0][0], values.transpose(2, 0, 1)[None])


def check_arrays(folder):
    pixels = RANDOM.integers(0, 256, (12, 9, 7, 3), dtype=np.uint8)
    labels = RANDOM.integers(0, 10, 12)
    np.savez(folder / "stored.npz", x=pixels, y=labels)
    np.savez_compressed(folder / "deflated.npz", x=pixels, y=labels)
    np.save(folder / "x.npy", pixels)
    np.save(folder / "y.npy", labels.astype(np.int32))
    steps = f"source_layout = 'nhwc'\nlayout = 'nchw'\nscale = 255.0\nmean = {MEAN}\nstd = {STD}\n"
    expected = (pixels.astype(np.float32) / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    expected = expected.transpose(0, 3, 1, 2)
    for source in ("file = 'stored.npz'\ninput = 'x'\nlabels = 'y'",
                   "file = 'deflated.npz'\ninput = 'x'\nlabels = 'y'",
                   "file = 'x.npy'\nlabels = 'y.npy'"):
        result = dump(folder, f"kind = 'arrays'\n{source}\n[preprocess]\n{steps}")
        expect_equal(source, result if isinstance(result, str) else result[0][0], expected)
        expect_equal(source, result[1], labels)
    resized = np.stack([np.asarray(centre(resize(Image.fromarray(p), 20, 30), 16, 16))
                        for p in pixels]).astype(np.float32)
    result = dump(folder, "kind = 'arrays'\nfile = 'x.npy'\n[preprocess]\nsource_layout = 'nhwc'\n"
                  "layout = 'nhwc'\nresize = [30, 20]\ncrop = 16\n")
    expect_equal("resized array", result[0][0], resized)
    for dtype in ("?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", ">i2",
                  ">f4", ">f8"):
        values = RANDOM.integers(0, 2 if dtype == "?" else 100, (5, 3)).astype(dtype)
        np.save(folder / "v.npy", values)
        result = dump(folder, "kind = 'arrays'\nfile = 'v.npy'\n")
        expect_equal(dtype, result if isinstance(result, str) else result[0][0],
                     values.astype(np.float32))
    np.save(folder / "ids.npy", np.arange(24).reshape(4, 6))
    np.save(folder / "mask.npy", np.tri(4, 6).astype(bool))
    result = dump(folder, "kind = 'arrays'\n[[inputs]]\nfile = 'ids.npy'\nfeed = 'ids'\ntype = 'int64'\n"
                  "[[inputs]]\nfile = 'mask.npy'\nfeed = 'mask'\ntype = 'bool'\n")
    expect_equal("ids", result[0][0], np.arange(24).reshape(4, 6))
    expect_equal("mask", result[0][1], np.tri(4, 6).astype(bool))
    np.save(folder / "fortran.npy", np.asfortranarray(np.zeros((3, 4))))
    message = dump(folder, "kind = 'arrays'\nfile = 'fortran.npy'\n")
    if "Fortran order" not in message:
        sys.exit(f"Fortran order: {message}")


def check_idx(folder):
    pixels = RANDOM.integers(0, 256, (10, 6, 5), dtype=np.uint8)
    labels = RANDOM.integers(0, 10, 10, dtype=np.uint8)
    image_bytes = struct.pack(">4BIII", 0, 0, 8, 3, *pixels.shape) + pixels.tobytes()
    label_bytes = struct.pack(">4BI", 0, 0, 8, 1, 10) + labels.tobytes()
    (folder / "images").write_bytes(image_bytes)
    (folder / "images.gz").write_bytes(gzip.compress(image_bytes))
    (folder / "labels.gz").write_bytes(gzip.compress(label_bytes))
    (folder / "labels").write_bytes(label_bytes)
    for suffix in ("", ".gz"):
        result = dump(folder, f"kind = 'arrays'\nfile = 'images{suffix}'\nlabels = 'labels{suffix}'\n"
                      "input = 'pixels'\n[preprocess]\nsource_layout = 'nhw'\n")
        expect_equal("idx", result if isinstance(result, str) else result[0][0],
                     pixels.astype(np.float32)[:, None])
        expect_equal("idx labels", result[1], labels.astype(np.int64))
        assert "feed 'pixels'" in result[2], result[2]
    floats = RANDOM.normal(size=(4, 3)).astype(">f4")
    (folder / "floats").write_bytes(struct.pack(">4BII", 0, 0, 13, 2, 4, 3) + floats.tobytes())
    result = dump(folder, "kind = 'arrays'\nfile = 'floats'\n")
    expect_equal("idx of floats", result[0][0], floats.astype(np.float32))


def check_image_order(folder):
    for name in ("b/2.png", "b/1.png", "a.png", "c.jpg"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4), (len(name), ord(name[0]), ord(name[-5]))).save(path)
    (folder / "notes.txt").write_text("no picture")
    result = dump(folder, "kind = 'images'\n")
    expected = [np.asarray(Image.open(folder / n).convert("RGB"), np.float32)
                for n in ("a.png", "b/1.png", "b/2.png", "c.jpg")]
    expect_equal("order", result[0][0], np.stack(expected).transpose(0, 3, 1, 2))
    (folder / "list.csv").write_text("label,file\n7,c.jpg\n3,a.png\n")
    result = dump(folder, "kind = 'images'\nlabels = 'list.csv'\n")
    expect_equal("csv", result[0][0], np.stack([expected[3], expected[0]]).transpose(0, 3, 1, 2))
    expect_equal("csv labels", result[1], np.array([7, 3]))


def main():
    for check in (check_pictures, check_arrays, check_idx, check_image_order):
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder))
    print(f"data sets: {checks} comparisons with NumPy and Pillow, all bit for bit")


if __name__ == "__main__":
    main()
