/*-------------------------------------------------------------------------
 *
 * avx512_tile.h
 *	  Part of avx512.c: many queries against blocks of integer codes.
 *
 * NOTES
 *	  Of the 32 registers 24 accumulate 8 queries x 3 blocks of VPDPBUSD, 3
 *	  hold codes.  Codes of 2 and 4 bits are expanded to 8-bit lines, a chunk
 *	  at a time, which stays in the first-level cache for all queries; packed
 *	  queries of 2 to 8 bits are int8 rows.  1-bit codes are looked up in
 *	  tables (avx512_bits.h), 4 queries x 4 blocks; a packed query is what
 *	  pack_query_b1 makes.
 *
 *	  Loops over registers have constant bounds where they inline and are
 *	  unrolled whole: `make check-kernels VKCHECK_ARGS=--bench` shows at once
 *	  when a compiler spills them instead.
 *
 * IDENTIFICATION
 *	  src/kernels/avx512_tile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX512_TILE_H
#define VK_AVX512_TILE_H

#define TILE_QUERIES	8
#define TILE_BLOCKS		3
#define TILE_CHUNK		128		/* 8-bit lines of a block taken at a time */
#define BITS_QUERIES	4
#define BITS_BLOCKS		4

static inline void
put_dots(int32_t *out, __m512i sum, bool add)
{
	if (add)
		sum = _mm512_add_epi32(sum, _mm512_loadu_si512(out));
	_mm512_storeu_si512(out, sum);
}

/* ---------- 8-bit lines ---------- */

static inline size_t
packed_stride(int dim)
{
	return VK_ROUND_UP(dim, 64);
}

static void
pack_tile(const int8_t *queries, size_t query_stride, int m, int dim,
		  void *packed)
{
	for (int i = 0; i < m; i++)
		pack_plain(queries + i * query_stride, dim,
				   (int8_t *) packed + i * packed_stride(dim));
}

/* m <= TILE_QUERIES and blocks <= TILE_BLOCKS are constants where it inlines */
static inline __attribute__((always_inline)) void
tile_part(const int8_t *queries, size_t query_stride, int m,
		  const uint8_t *const *code, int blocks, int lines, bool add,
		  int32_t *out, size_t out_stride)
{
	__m512i		sum[TILE_QUERIES][TILE_BLOCKS];

	for (int i = 0; i < m; i++)
		for (int b = 0; b < blocks; b++)
			sum[i][b] = _mm512_setzero_si512();
	for (size_t line = 0; line < (size_t) lines; line++)
	{
		__m512i		codes[TILE_BLOCKS];

		for (int b = 0; b < blocks; b++)
			codes[b] = _mm512_loadu_si512(code[b] + VK_LINE_SIZE * line);
		for (int i = 0; i < m; i++)
		{
			__m512i		query = broadcast_dword(queries + i * query_stride +
												4 * line);

			for (int b = 0; b < blocks; b++)
				sum[i][b] = _mm512_dpbusd_epi32(sum[i][b], codes[b], query);
		}
	}
	for (int i = 0; i < m; i++)
		for (int b = 0; b < blocks; b++)
			put_dots(out + i * out_stride + VK_LANES * b, sum[i][b], add);
}

/* all queries against lines of 8-bit codes; blocks as in tile_part */
static inline __attribute__((always_inline)) void
tile_lines(const int8_t *queries, size_t query_stride, int m,
		   const uint8_t *const *code, int blocks, int lines, bool add,
		   int32_t *out, size_t out_stride)
{
	int			i = 0;

	for (; i + TILE_QUERIES <= m; i += TILE_QUERIES)
		tile_part(queries + i * query_stride, query_stride, TILE_QUERIES, code,
				  blocks, lines, add, out + i * out_stride, out_stride);
	for (; i + 3 <= m; i += 3)
		tile_part(queries + i * query_stride, query_stride, 3, code, blocks,
				  lines, add, out + i * out_stride, out_stride);
	for (; i < m; i++)
		tile_part(queries + i * query_stride, query_stride, 1, code, blocks,
				  lines, add, out + i * out_stride, out_stride);
}

static void
tile_lines_1(const int8_t *queries, size_t query_stride, int m,
			 const uint8_t *const *code, int lines, bool add, int32_t *out,
			 size_t out_stride)
{
	tile_lines(queries, query_stride, m, code, 1, lines, add, out, out_stride);
}

static void
tile_lines_3(const int8_t *queries, size_t query_stride, int m,
			 const uint8_t *const *code, int lines, bool add, int32_t *out,
			 size_t out_stride)
{
	tile_lines(queries, query_stride, m, code, TILE_BLOCKS, lines, add, out,
			   out_stride);
}

/* fields of each line to 8-bit lines of their own */
static inline __attribute__((always_inline)) void
expand_lines(const uint8_t *code, int lines, int bits, uint8_t *out)
{
	const __m512i mask = _mm512_set1_epi8((char) ((1 << bits) - 1));

	for (int line = 0; line < lines; line++)
	{
		__m512i		fields = _mm512_loadu_si512(code + VK_LINE_SIZE * (size_t) line);

		for (int field = 0; field < 8 / bits; field++)
		{
			_mm512_store_si512(out, _mm512_and_si512(_mm512_srli_epi16(fields,
																	   bits * field),
													 mask));
			out += VK_LINE_SIZE;
		}
	}
}

/* TILE_BLOCKS or fewer blocks against all queries; bits is a constant */
static inline __attribute__((always_inline)) void
tile_blocks(const Tile *tile, BlockCursor *cursors, int blocks, int bits)
{
	uint8_t		expanded[TILE_BLOCKS][TILE_CHUNK * VK_LINE_SIZE]
	__attribute__((aligned(64)));
	const int	fields = 8 / bits;
	const size_t stride = packed_stride(tile->dim);

	for (int line = 0; line < tile->lines;)
	{
		const int8_t *queries = (const int8_t *) tile->packed +
			4 * fields * (size_t) (tile->first_line + line);
		const bool	add = tile->first_line + line > 0;
		const uint8_t *code[TILE_BLOCKS];
		int			count = next_lines(cursors, blocks, TILE_CHUNK / fields, code);

		for (int b = 0; b < blocks && bits < 8; b++)
		{
			expand_lines(code[b], count, bits, expanded[b]);
			code[b] = expanded[b];
		}
		if (blocks == TILE_BLOCKS)
			tile_lines_3(queries, stride, tile->m, code, count * fields, add,
						 tile->out, tile->out_stride);
		else
			for (int b = 0; b < blocks; b++)
				tile_lines_1(queries, stride, tile->m, code + b, count * fields,
							 add, tile->out + VK_LANES * b, tile->out_stride);
		line += count;
	}
}

static void
tile_blocks_b2(const Tile *tile, BlockCursor *cursors, int blocks)
{
	tile_blocks(tile, cursors, blocks, 2);
}

static void
tile_blocks_b4(const Tile *tile, BlockCursor *cursors, int blocks)
{
	tile_blocks(tile, cursors, blocks, 4);
}

static void
tile_blocks_b8(const Tile *tile, BlockCursor *cursors, int blocks)
{
	tile_blocks(tile, cursors, blocks, 8);
}

/* ---------- 1-bit lines ---------- */

static void
pack_tile_b1(const int8_t *queries, size_t query_stride, int m, int dim,
			 void *packed)
{
	for (int i = 0; i < m; i++)
		pack_query_b1(queries + i * query_stride, dim,
					  (uint8_t *) packed + i * VK_PACKED_QUERY_SIZE(dim));
}

/* m <= BITS_QUERIES and blocks <= BITS_BLOCKS are constants where it inlines */
static inline __attribute__((always_inline)) void
bits_part(const BitsQuery *queries, int m, int first_line,
		  const uint8_t *const *code, int blocks, int lines, bool add,
		  int32_t *out, size_t out_stride)
{
	__m512i		sum[BITS_QUERIES][BITS_BLOCKS];

	for (int i = 0; i < m; i++)
		for (int b = 0; b < blocks; b++)
			sum[i][b] = _mm512_set1_epi32(queries[i].offset[first_line] -
										  queries[i].offset[first_line + lines]);
	for (size_t line = 0; line < (size_t) lines; line++)
	{
		BitsIndex	index[BITS_BLOCKS];

		for (int b = 0; b < blocks; b++)
			index[b] = bits_index(code[b] + VK_LINE_SIZE * line);
		for (int i = 0; i < m; i++)
		{
			const uint8_t *tables = queries[i].tables +
				BITS_TABLES * (first_line + line);

			for (int b = 0; b < blocks; b++)
			{
				sum[i][b] = look_up(sum[i][b], index[b].low, tables);
				sum[i][b] = look_up(sum[i][b], index[b].high, tables + 64);
			}
		}
	}
	for (int i = 0; i < m; i++)
		for (int b = 0; b < blocks; b++)
		{
			if (queries[i].extras > 0)
				sum[i][b] = add_extras(sum[i][b], queries + i, first_line,
									   code[b], lines);
			put_dots(out + i * out_stride + VK_LANES * b, sum[i][b], add);
		}
}

static void
bits_scan(const void *packed, int first_line, const uint8_t *code, int lines,
		  bool add, int32_t *out)
{
	VkDots		dots = {{0}};

	scan_b1(packed, first_line, code, lines, &dots);
	put_dots(out, _mm512_loadu_si512(dots.i), add);
}

static void
bits_part_4(const BitsQuery *queries, int first_line,
			const uint8_t *const *code, int lines, bool add, int32_t *out,
			size_t out_stride)
{
	bits_part(queries, BITS_QUERIES, first_line, code, BITS_BLOCKS, lines, add,
			  out, out_stride);
}

static void
bits_part_1(const BitsQuery *query, int first_line,
			const uint8_t *const *code, int lines, bool add, int32_t *out)
{
	bits_part(query, 1, first_line, code, BITS_BLOCKS, lines, add, out, 0);
}

/* queries i .. , BITS_QUERIES at most, against lines of BITS_BLOCKS blocks */
static void
bits_queries(const Tile *tile, int i, int line, const uint8_t *const *code,
			 int count)
{
	const size_t stride = VK_PACKED_QUERY_SIZE(tile->dim);
	const uint8_t *packed = (const uint8_t *) tile->packed + i * stride;
	const bool	add = line > 0;
	int			m = tile->m - i < BITS_QUERIES ? tile->m - i : BITS_QUERIES;
	int32_t    *out = tile->out + i * tile->out_stride;
	BitsQuery	queries[BITS_QUERIES];
	int			tables = 0;

	for (int q = 0; q < m; q++)
	{
		queries[q] = bits_query(packed + q * stride);
		tables += queries[q].extras >= 0;
	}
	if (tables == BITS_QUERIES)
	{
		bits_part_4(queries, line, code, count, add, out, tile->out_stride);
		return;
	}
	for (int q = 0; q < m; q++, out += tile->out_stride, packed += stride)
	{
		if (queries[q].extras >= 0)
			bits_part_1(queries + q, line, code, count, add, out);
		else
			for (int b = 0; b < BITS_BLOCKS; b++)
				bits_scan(packed, line, code[b], count, add, out + VK_LANES * b);
	}
}

static void
tile_blocks_b1(const Tile *tile, BlockCursor *cursors, int blocks)
{
	const size_t stride = VK_PACKED_QUERY_SIZE(tile->dim);
	const int	end = tile->first_line + tile->lines;

	for (int line = tile->first_line; line < end;)
	{
		const uint8_t *code[BITS_BLOCKS];
		int			count = next_lines(cursors, blocks, tile->lines, code);

		if (blocks == BITS_BLOCKS)
			for (int i = 0; i < tile->m; i += BITS_QUERIES)
				bits_queries(tile, i, line, code, count);
		else
			for (int i = 0; i < tile->m; i++)
				for (int b = 0; b < blocks; b++)
					bits_scan((const uint8_t *) tile->packed + i * stride, line,
							  code[b], count, line > 0,
							  tile->out + i * tile->out_stride + VK_LANES * b);
		line += count;
	}
}

/* ---------- all formats ---------- */

#define DEFINE_TILES(name, format, width, query_size) \
static void \
tile_##name(const void *packed, int m, int dim, const VkLineRun *runs, \
			int blocks, int first_line, int lines, int32_t *out) \
{ \
	tile_codes(tile_blocks_##name, width, packed, m, dim, runs, blocks, \
			   first_line, lines, out); \
} \
static void \
tile_screen_##name(const void *packed, int m, int dim, \
				   const VkLineRun *runs, int blocks, \
				   const VkScreenRows *rows, const VkScreenQuery *queries, \
				   uint16_t *masks) \
{ \
	tile_and_screen(tile_blocks_##name, width, query_size, format, packed, m, \
					dim, runs, blocks, rows, queries, masks); \
}

DEFINE_TILES(b1, VK_FORMAT_B1, BITS_BLOCKS, VK_PACKED_QUERY_SIZE(dim))
DEFINE_TILES(b2, VK_FORMAT_B2, TILE_BLOCKS, packed_stride(dim))
DEFINE_TILES(b4, VK_FORMAT_B4, TILE_BLOCKS, packed_stride(dim))
DEFINE_TILES(b8, VK_FORMAT_B8, TILE_BLOCKS, packed_stride(dim))

#endif							/* VK_AVX512_TILE_H */
