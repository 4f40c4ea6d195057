-- The same texts as before, in a language whose plans are kept: every inserted sample waits for this.
CREATE OR REPLACE FUNCTION natural_order(path text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    texts text[] := regexp_split_to_array(path, '[0-9]+');  -- before, between and after the numbers
    ordered text := texts[1];
    next_text int := 2;
    digits text;
BEGIN
    FOREACH digits IN ARRAY regexp_split_to_array(path, '[^0-9]+') LOOP
        CONTINUE WHEN digits = '';
        digits := ltrim(digits, '0');
        ordered := ordered || CASE WHEN length(digits) < 9 THEN length(digits)::text
                                   ELSE '9' || lpad(length(digits)::text, 4, '0') END || digits || texts[next_text];
        next_text := next_text + 1;
    END LOOP;
    RETURN ordered;
END $$;
