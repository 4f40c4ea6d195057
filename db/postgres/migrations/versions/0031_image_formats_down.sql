UPDATE source SET format = NULL WHERE format IN ('WEBP', 'TIFF', 'GIF', 'AVIF');
ALTER TABLE source
    DROP CONSTRAINT source_format_check,
    ADD CONSTRAINT source_format_check CHECK (format IN ('JPEG', 'PNG', 'BMP'));
ALTER TABLE dataset DROP COLUMN image_formats;
