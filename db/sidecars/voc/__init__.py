"""PASCAL VOC: one `.xml` to an image, with an `object` for each label and the one shape that it has.

    annotation ── folder, filename, size{width,height,depth}, segmented, object*
    object ── name, difficult, confidence?, and one of  bndbox{xmin,ymin,xmax,ymax}  polygon{x1,y1,x2,y2,…}
              polyline{…}  line{x1,y1,x2,y2}  dashed{x1,y1,x2,y2}  circle{cx,cy,r}  point{x,y | x1,y1}

What else is in a file (`pose`, `truncated`, `occluded`, `part`, `properties`, masks, …) is passed over.
"""

from db.sidecars.voc.parse import MAX_BYTES, MAX_OBJECTS, parse
from db.sidecars.voc.write import write

__all__ = ["MAX_BYTES", "MAX_OBJECTS", "parse", "write"]
