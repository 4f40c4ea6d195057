"""PASCAL VOC: one `.xml` to an image, with an `object` for each label and the one shape that it has.

    annotation ── folder, filename, size{width,height,depth}, segmented, object*
    object ── name, pose?, truncated?, occluded?, difficult?, confidence?, and one of
              bndbox{xmin,ymin,xmax,ymax}  polygon{x1,y1,x2,y2,…}  polyline{…}  line{x1,y1,x2,y2}
              dashed{x1,y1,x2,y2}  circle{cx,cy,r}  point{x,y | x1,y1}

With a `bndbox` there may be a `point`, or another shape whose hull it is. Where a box has no whole numbers, our files
have the least box of whole numbers around it as `bndbox`, and the numbers themselves in `exact{xmin,ymin,xmax,ymax}`.
What else is in a file (`part`, `actions`, `properties`, masks, …) is passed over.
"""

from db.formats.sidecars.voc.parse import MAX_BYTES, MAX_OBJECTS, parse
from db.formats.sidecars.voc.write import write

__all__ = ["MAX_BYTES", "MAX_OBJECTS", "parse", "write"]
