CREATE OR REPLACE FUNCTION natural_order(path text) RETURNS text LANGUAGE sql IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS $$
    SELECT string_agg(
        part[1] || CASE WHEN part[2] = '' THEN ''
                        WHEN length(ltrim(part[2], '0')) < 9 THEN length(ltrim(part[2], '0')) || ltrim(part[2], '0')
                        ELSE '9' || lpad(length(ltrim(part[2], '0'))::text, 4, '0') || ltrim(part[2], '0') END,
        '' ORDER BY n)
    FROM regexp_matches(path, '([^0-9]*)([0-9]*)', 'g') WITH ORDINALITY AS parts (part, n)
$$;
