/** A plugin of graphql-codegen: what caches must know of the schema. */
import { minifyIntrospectionQuery } from "@urql/introspection";
import { introspectionFromSchema, isAbstractType, isObjectType } from "graphql";

export function plugin(schema) {
  const types = Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith("__"));
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const objects = types.filter((type) => isObjectType(type) && !roots.includes(type));
  const withoutId = objects.filter((type) => !("id" in type.getFields())).map((type) => type.name);
  const possible = types.filter(isAbstractType).map((type) => [type.name, schema.getPossibleTypes(type).map(String)]);
  const introspection = minifyIntrospectionQuery(introspectionFromSchema(schema));
  return [
    "/** Objects of these types are part of the object that has them. */",
    `export const withoutId: string[] = ${JSON.stringify(withoutId)};`,
    "/** Of interfaces and unions. */",
    `export const possibleTypes: Record<string, string[]> = ${JSON.stringify(Object.fromEntries(possible))};`,
    "/** For graphcache. */",
    `export const introspection = ${JSON.stringify(introspection)};`,
    "",
  ].join("\n");
}
