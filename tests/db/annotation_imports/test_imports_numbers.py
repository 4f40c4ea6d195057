"""Numbers that no shape can have, in every format that has shapes: the shape is a notice, and the rest is imported."""

import pytest

from tests.db.annotation_import_fixture import AnnotationImports, counted

VOC_BOX = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{}</xmax><ymax>9</ymax></bndbox></object>"
VOC_CIRCLE = "<object><name>{}</name><circle><cx>9</cx><cy>9</cy><r>{}</r></circle></object>"
VOC_LINE = "<object><name>{}</name><line><x1>1</x1><y1>1</y1><x2>{}</x2><y2>5</y2></line></object>"
CVAT_BOX = "<box label='{}' xtl='1' ytl='2' xbr='{}' ybr='9'/>"
COCO = """{{"images": [{{"id": 1, "file_name": "1.png"}}], "annotations": [{}],
    "categories": [{{"id": 1, "name": "cat"}}, {{"id": 2, "name": "dog"}}]}}"""
COCO_BOX = '{{"image_id": 1, "category_id": {}, "bbox": [1, 2, {}, 7]}}'
JSON_BOX = '{{"label": "{}", "bbox": [1, 2, {}, 9]}}'
STUDIO_BOX = """{{"type": "rectanglelabels", "original_width": 100, "original_height": 80,
    "value": {{"x": 1, "y": 2, "width": {1}, "height": 9, "rectanglelabels": ["{0}"]}}}}"""
FILES = {  # the name of the file, what is around the shapes, a shape, and what divides them
    "PASCAL_VOC boxes": ("Annotations/1.xml", "<annotation>{}</annotation>", VOC_BOX, ""),
    "PASCAL_VOC circles": ("Annotations/1.xml", "<annotation>{}</annotation>", VOC_CIRCLE, ""),
    "PASCAL_VOC lines": ("Annotations/1.xml", "<annotation>{}</annotation>", VOC_LINE, ""),
    "CVAT": ("a.xml", "<annotations><image name='1.png'>{}</image></annotations>", CVAT_BOX, ""),
    "COCO": ("a.json", COCO, COCO_BOX, ", "),
    "JSON_LINES": ("a.jsonl", '{{"path": "1.png", "annotations": [{}]}}', JSON_BOX, ", "),
    "LABEL_STUDIO": (
        "a.json",
        '[{{"data": {{"image": "1.png"}}, "annotations": [{{"result": [{}]}}]}}]',
        STUDIO_BOX,
        ", ",
    ),
    "CSV": ("a.csv", "path,label,x_min,y_min,x_max,y_max\n{}\n", "1.png,{},1,2,{},9", "\n"),
    "YOLO": ("labels/1.txt", "{}\n", "{} 0.5 0.5 {} 0.1", "\n"),
}


@pytest.mark.parametrize("number", ["1e999", "1e308", "9" * 400])
@pytest.mark.parametrize("what", FILES)
async def test_a_number_beyond_all_bounds_is_a_notice(detection: AnnotationImports, what: str, number: str) -> None:
    detection.put("1.png")
    await detection.dataset.sync()
    name, around, shape, between = FILES[what]
    form = what.partition(" ")[0]
    names = {"COCO": ("1", "2"), "YOLO": ("0", "1")}.get(form, ("cat", "dog"))
    shapes = shape.format(names[0], number), shape.format(names[1], "0.1" if form == "YOLO" else "5")
    detection.write(f"set/{name}", around.format(between.join(shapes)))
    if form == "YOLO":
        detection.write("set/classes.txt", "cat\ndog\n")
    tried = await detection.load(detection.folder / "set", format=form, dry_run=True)
    job = await detection.load(detection.folder / "set", format=form)
    assert job["status"] == "SUCCEEDED", job["error_message"]
    assert counted(job) == counted(tried)
    assert [label for _, label, *_ in await detection.annotations()] == ["dog"]
    _, examples = (await detection.notices(job))["CONTENT"]
    assert all(example.startswith(name) for example in examples)
    assert form == "PASCAL_VOC" or number != "1e308" or "to 1,000,000,000, and is 1e+308." in examples[0]
