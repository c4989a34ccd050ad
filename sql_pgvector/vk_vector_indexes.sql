--
-- the tests of indexes over our own vector types, over pgvector's
--
\getenv top PG_ABS_SRCDIR
\set tests :top /sql/include/vk_type_indexes.sql
\set types '(1, ''vector''), (2, ''halfvec'')'
\i :tests
