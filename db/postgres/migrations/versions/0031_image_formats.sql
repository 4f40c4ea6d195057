ALTER TABLE dataset
    ADD COLUMN image_formats text[] DEFAULT '{JPEG,PNG,BMP}' NOT NULL,
    ADD CONSTRAINT dataset_image_formats_check CHECK (
        image_formats <@ '{JPEG,PNG,BMP,WEBP,TIFF,GIF,AVIF}' AND cardinality(image_formats) > 0
    );
ALTER TABLE source
    DROP CONSTRAINT source_format_check,
    ADD CONSTRAINT source_format_check CHECK (format IN ('JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF', 'GIF', 'AVIF'));
