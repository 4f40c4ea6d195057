/** Shapes in pixels of the stored image, and how an image that its EXIF data rotate is shown. */
import type { ShapesFragment, ShapeInput } from "./gql/graphql";

export type Annotation = ShapesFragment["annotations"][number];
export type Shape = NonNullable<Annotation["shape"]>;
export type Box = Extract<Shape, { __typename: "BoundingBox" }>;
export interface Spot {
  x: number;
  y: number;
}

type Matrix = [a: number, b: number, c: number, d: number, e: number, f: number]; // as in SVG

/** The matrix from stored to shown pixels, for each EXIF orientation. */
function matrixOf(orientation: number | null, width: number, height: number): Matrix {
  const matrices: Record<number, Matrix> = {
    2: [-1, 0, 0, 1, width, 0],
    3: [-1, 0, 0, -1, width, height],
    4: [1, 0, 0, -1, 0, height],
    5: [0, 1, 1, 0, 0, 0],
    6: [0, 1, -1, 0, height, 0],
    7: [0, -1, -1, 0, height, width],
    8: [0, -1, 1, 0, 0, width],
  };
  return matrices[orientation ?? 1] ?? [1, 0, 0, 1, 0, 0];
}

export const transformOf = (orientation: number | null, width: number, height: number): string =>
  `matrix(${matrixOf(orientation, width, height).join(" ")})`;

/** Where a place of the stored image is seen. */
export function asShown({ x, y }: Spot, orientation: number | null, width: number, height: number): Spot {
  const [a, b, c, d, e, f] = matrixOf(orientation, width, height);
  return { x: a * x + c * y + e, y: b * x + d * y + f };
}

/** A direction as it is seen, in stored pixels. The matrix only turns and mirrors, so its transpose is its inverse. */
export function asStored({ x, y }: Spot, orientation: number | null): Spot {
  const [a, b, c, d] = matrixOf(orientation, 0, 0);
  return { x: a * x + b * y, y: c * x + d * y };
}

export const isTurned = (orientation: number | null): boolean => (orientation ?? 1) >= 5;

/** The corners that can be dragged. */
export function cornersOf(shape: Shape): Spot[] {
  switch (shape.__typename) {
    case "BoundingBox":
      return [
        { x: shape.xMin, y: shape.yMin },
        { x: shape.xMax, y: shape.yMin },
        { x: shape.xMax, y: shape.yMax },
        { x: shape.xMin, y: shape.yMax },
      ];
    case "Polygon":
    case "Polyline":
      return shape.points;
    case "Circle":
      return [shape.center, { x: shape.center.x + shape.radius, y: shape.center.y }];
    case "Point":
      return [shape.position];
  }
}

/** The shape of the same kind with these corners. `moved` is the corner that was dragged. */
function withCorners(shape: Shape, corners: readonly Spot[], moved?: number): Shape {
  switch (shape.__typename) {
    case "BoundingBox": {
      const opposite = moved === undefined ? 2 : (moved + 2) % 4;
      return { __typename: "BoundingBox", ...boxOf(corners[moved ?? 0]!, corners[opposite]!) };
    }
    case "Polygon":
    case "Polyline":
      return { ...shape, points: [...corners] };
    case "Circle": {
      const [center, edge] = corners as [Spot, Spot];
      return { ...shape, center, radius: Math.hypot(edge.x - center.x, edge.y - center.y) };
    }
    case "Point":
      return { ...shape, position: corners[0]! };
  }
}

export const boxOf = (one: Spot, other: Spot) => ({
  xMin: Math.min(one.x, other.x),
  yMin: Math.min(one.y, other.y),
  xMax: Math.max(one.x, other.x),
  yMax: Math.max(one.y, other.y),
});

/** The shape moved, as far as the image reaches. */
export function movedBy(shape: Shape, by: Spot, width: number, height: number): Shape {
  const corners = cornersOf(shape);
  const reach = shape.__typename === "Circle" ? shape.radius : 0;
  const around = shape.__typename === "Circle" ? [shape.center] : corners;
  const xs = around.map(({ x }) => x);
  const ys = around.map(({ y }) => y);
  const x = Math.max(reach - Math.min(...xs), Math.min(width - reach - Math.max(...xs), by.x));
  const y = Math.max(reach - Math.min(...ys), Math.min(height - reach - Math.max(...ys), by.y));
  return withCorners(
    shape,
    corners.map((corner) => ({ x: corner.x + x, y: corner.y + y })),
  );
}

/** The shape with one corner elsewhere. */
export function reshaped(shape: Shape, corner: number, to: Spot): Shape {
  const corners = cornersOf(shape).map((each, index) => (index === corner ? to : each));
  return withCorners(shape, corners, corner);
}

/** The box whose corner that is seen at the lower right is moved, as far as the image reaches. */
export function resized(box: Box, seen: Spot, orientation: number | null, width: number, height: number): Shape {
  const by = asStored(seen, orientation);
  const { x: right, y: low } = asStored({ x: 1, y: 1 }, orientation); // 1 or -1
  const x = right > 0 ? Math.max(box.xMin + 1, box.xMax + by.x) : Math.min(box.xMax - 1, box.xMin + by.x);
  const y = low > 0 ? Math.max(box.yMin + 1, box.yMax + by.y) : Math.min(box.yMax - 1, box.yMin + by.y);
  const corner = low > 0 ? (right > 0 ? 2 : 3) : right > 0 ? 1 : 0;
  return reshaped(box, corner, within({ x, y }, width, height));
}

export const within = ({ x, y }: Spot, width: number, height: number): Spot => ({
  x: Math.round(Math.max(0, Math.min(width, x)) * 100) / 100,
  y: Math.round(Math.max(0, Math.min(height, y)) * 100) / 100,
});

/** The shape as a mutation takes it. */
export function inputOf(shape: Shape): ShapeInput {
  const spot = ({ x, y }: Spot) => ({ x, y });
  switch (shape.__typename) {
    case "BoundingBox":
      return { boundingBox: { xMin: shape.xMin, yMin: shape.yMin, xMax: shape.xMax, yMax: shape.yMax } };
    case "Polygon":
      return { polygon: { points: shape.points.map(spot) } };
    case "Polyline":
      return { polyline: { points: shape.points.map(spot) } };
    case "Circle":
      return { circle: { center: spot(shape.center), radius: shape.radius } };
    case "Point":
      return { point: { position: spot(shape.position) } };
  }
}
