DROP TABLE IF EXISTS embedding;
DROP FUNCTION IF EXISTS embedding_candidates, embedding_breadth, embedding_index, embedding_near, embedding_bits;
DROP TABLE embedding_model;
