DROP TABLE secret, idempotency, token, source_deletion, job_warning, job, annotation_past, sample_past, label_past,
    annotation, sample, source, label_count, label, change, dataset;
DROP FUNCTION label_keep(), label_count_open(), label_count_close(), sample_keep(), annotation_keep(), sample_count_inserted(),
    sample_count_updated(), sample_count_deleted(), annotation_count_inserted(), annotation_count_updated(),
    annotation_count_deleted();
DROP FUNCTION labels_named(bigint, text[]), labels_all_named(bigint, text[]), dataset_named(text),
    labels_few(bigint, text[], boolean, bigint), never_generic();
