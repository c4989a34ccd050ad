/*-------------------------------------------------------------------------
 *
 * avx2_tile.h
 *	  Part of avx2.c: many queries against blocks of integer codes.
 *
 * NOTES
 *	  Smaller codes are expanded to 8-bit lines, a chunk at a time.  Their
 *	  products with the query fit VPMADDUBSW, and several lines' sums 16 bits:
 *	  2 x 127 (2^b - 1) a line.  Numbers of 8 bits do not: there the packed query
 *	  is widened (widen_line) and lines go through VPMADDWD.  With AVX-VNNI all
 *	  formats go through VPDPBUSD, and packed queries are int8 rows.
 *
 * IDENTIFICATION
 *	  src/kernels/avx2_tile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX2_TILE_H
#define VK_AVX2_TILE_H

#define TILE_QUERIES	4
#define TILE_CHUNK		128		/* 8-bit lines of a block taken at a time */

/* dots of one block with m queries, lanes 0-7 and 8-15 */
typedef struct TileSums
{
	__m256i		low[TILE_QUERIES];
	__m256i		high[TILE_QUERIES];
} TileSums;

/*
 * sums += m queries, stride bytes apart, times lines of 8-bit codes, none of
 * which is above the greatest of bits.  m and bits are constants where it inlines.
 */
typedef void (*AddLines) (const uint8_t *queries, size_t stride, int m,
						  const uint8_t *code, int lines, int bits,
						  TileSums *sums);

static inline size_t
packed_stride(int dim)
{
	return 2 * VK_ROUND_UP(dim, 64);
}

static void
pack_tile(const int8_t *queries, size_t query_stride, int m, int dim,
		  void *packed)
{
	for (int i = 0; i < m; i++)
		pack_plain(queries + i * query_stride, dim,
				   (uint8_t *) packed + i * packed_stride(dim));
}

static void
pack_tile_wide(const int8_t *queries, size_t query_stride, int m, int dim,
			   void *packed)
{
	for (int i = 0; i < m; i++)
		pack_scan_b8(queries + i * query_stride, dim,
					 (uint8_t *) packed + i * packed_stride(dim));
}

/* ---------- 8-bit numbers: packed by pack_tile_wide ---------- */

static inline __attribute__((always_inline)) void
add_wide_lines(const uint8_t *queries, size_t stride, int m,
			   const uint8_t *code, int lines, int bits, TileSums *sums)
{
	(void) bits;
	for (size_t line = 0; line < (size_t) lines; line++)
	{
		__m256i		low = load_bytes(code + VK_LINE_SIZE * line);
		__m256i		high = load_bytes(code + VK_LINE_SIZE * line + 32);
		__m256i		low_even = even_bytes(low);
		__m256i		low_odd = odd_bytes(low);
		__m256i		high_even = even_bytes(high);
		__m256i		high_odd = odd_bytes(high);

		for (int i = 0; i < m; i++)
		{
			const uint8_t *query = queries + i * stride + 8 * line;
			__m256i		even = broadcast_dword(query);
			__m256i		odd = broadcast_dword(query + 4);

			sums->low[i] = add_widened(sums->low[i], low_even, low_odd, even, odd);
			sums->high[i] = add_widened(sums->high[i], high_even, high_odd, even,
										odd);
		}
	}
}

/* ---------- smaller numbers ---------- */

static inline __m256i
add_pairs(__m256i sum, __m256i words)
{
	return _mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
}

static inline __attribute__((always_inline)) void
add_narrow_lines(const uint8_t *queries, size_t stride, int m,
				 const uint8_t *code, int lines, int bits, TileSums *sums)
{
	const int	most = 32767 / (2 * 127 * ((1 << bits) - 1));

	for (int first = 0; first < lines; first += most)
	{
		const int	end = lines - first < most ? lines : first + most;
		TileSums	words;

		/* in memory for now, for words need the registers */
		__asm__ volatile("" : : "r"(sums) : "memory");
		for (int i = 0; i < m; i++)
			words.low[i] = words.high[i] = _mm256_setzero_si256();
		for (size_t line = first; line < (size_t) end; line++)
		{
			__m256i		low = load_bytes(code + VK_LINE_SIZE * line);
			__m256i		high = load_bytes(code + VK_LINE_SIZE * line + 32);

			for (int i = 0; i < m; i++)
			{
				__m256i		query = broadcast_dword(queries + i * stride + 4 * line);

				words.low[i] = _mm256_add_epi16(words.low[i],
												_mm256_maddubs_epi16(low, query));
				words.high[i] = _mm256_add_epi16(words.high[i],
												 _mm256_maddubs_epi16(high, query));
			}
		}
		for (int i = 0; i < m; i++)
		{
			sums->low[i] = add_pairs(sums->low[i], words.low[i]);
			sums->high[i] = add_pairs(sums->high[i], words.high[i]);
		}
	}
}

/* ---------- AVX-VNNI ---------- */

static inline __attribute__((always_inline, target("avxvnni"))) void
add_vnni_lines(const uint8_t *queries, size_t stride, int m,
			   const uint8_t *code, int lines, int bits, TileSums *sums)
{
	(void) bits;
	for (size_t line = 0; line < (size_t) lines; line++)
	{
		__m256i		low = load_bytes(code + VK_LINE_SIZE * line);
		__m256i		high = load_bytes(code + VK_LINE_SIZE * line + 32);

		for (int i = 0; i < m; i++)
		{
			__m256i		query = broadcast_dword(queries + i * stride + 4 * line);

			sums->low[i] = _mm256_dpbusd_avx_epi32(sums->low[i], low, query);
			sums->high[i] = _mm256_dpbusd_avx_epi32(sums->high[i], high, query);
		}
	}
}

/* ---------- all ---------- */

/* m is a constant where it inlines, as are add_lines and bits */
static inline __attribute__((always_inline)) void
tile_part(AddLines add_lines, const uint8_t *queries, size_t stride, int m,
		  const uint8_t *code, int lines, int bits, bool add, int32_t *out,
		  size_t out_stride)
{
	TileSums	sums;

	for (int i = 0; i < m; i++)
	{
		const int32_t *from = out + i * out_stride;

		sums.low[i] = add ? load_bytes(from) : _mm256_setzero_si256();
		sums.high[i] = add ? load_bytes(from + 8) : _mm256_setzero_si256();
	}
	add_lines(queries, stride, m, code, lines, bits, &sums);
	for (int i = 0; i < m; i++)
	{
		_mm256_storeu_si256((void *) (out + i * out_stride), sums.low[i]);
		_mm256_storeu_si256((void *) (out + i * out_stride + 8), sums.high[i]);
	}
}

/* fields of each line to 8-bit lines of their own */
static inline __attribute__((always_inline)) void
expand_lines(const uint8_t *code, int lines, int bits, uint8_t *out)
{
	const __m256i mask = _mm256_set1_epi8((char) ((1 << bits) - 1));

	for (int line = 0; line < lines; line++, code += VK_LINE_SIZE)
		for (int field = 0; field < 8 / bits; field++, out += VK_LINE_SIZE)
			for (int half = 0; half < VK_LINE_SIZE; half += 32)
				_mm256_storeu_si256((void *) (out + half),
									_mm256_and_si256(_mm256_srli_epi16(load_bytes(code + half),
																	   bits * field),
													 mask));
}

/* one block; query_line is the bytes that a packed query has for a line */
static inline __attribute__((always_inline)) void
tile_block(AddLines add_lines, const Tile *tile, BlockCursor *cursor, int bits,
		   int query_line)
{
	uint8_t		expanded[TILE_CHUNK * VK_LINE_SIZE] __attribute__((aligned(64)));
	const int	fields = 8 / bits;
	const size_t stride = packed_stride(tile->dim);

	for (int line = 0; line < tile->lines;)
	{
		const uint8_t *queries = (const uint8_t *) tile->packed +
			(size_t) query_line * fields * (tile->first_line + line);
		const bool	add = tile->first_line + line > 0;
		int32_t    *out = tile->out;
		const uint8_t *code;
		int			count = next_lines(cursor, 1, TILE_CHUNK / fields, &code);
		int			i = 0;

		if (bits < 8)
		{
			expand_lines(code, count, bits, expanded);
			code = expanded;
		}
		for (; i + TILE_QUERIES <= tile->m; i += TILE_QUERIES)
			tile_part(add_lines, queries + i * stride, stride, TILE_QUERIES, code,
					  count * fields, bits, add, out + i * tile->out_stride,
					  tile->out_stride);
		for (; i < tile->m; i++)
			tile_part(add_lines, queries + i * stride, stride, 1, code,
					  count * fields, bits, add, out + i * tile->out_stride,
					  tile->out_stride);
		line += count;
	}
}

#define DEFINE_TILES(name, attributes, add_lines, format, query_line) \
static attributes void \
tile_block_##name(const Tile *tile, BlockCursor *cursors, int blocks) \
{ \
	(void) blocks; \
	tile_block(add_lines, tile, cursors, 1 << (format), query_line); \
} \
static void \
tile_##name(const void *packed, int m, int dim, const VkLineRun *runs, \
			int blocks, int first_line, int lines, int32_t *out) \
{ \
	tile_codes(tile_block_##name, 1, packed, m, dim, runs, blocks, first_line, \
			   lines, out); \
} \
static void \
tile_screen_##name(const void *packed, int m, int dim, \
				   const VkLineRun *runs, int blocks, \
				   const VkScreenRows *rows, const VkScreenQuery *queries, \
				   uint16_t *masks) \
{ \
	tile_and_screen(tile_block_##name, 1, packed_stride(dim), format, packed, m, \
					dim, runs, blocks, rows, queries, masks); \
}

#define VNNI	__attribute__((target("avxvnni")))

DEFINE_TILES(b1, , add_narrow_lines, VK_FORMAT_B1, 4)
DEFINE_TILES(b2, , add_narrow_lines, VK_FORMAT_B2, 4)
DEFINE_TILES(b4, , add_narrow_lines, VK_FORMAT_B4, 4)
DEFINE_TILES(b8, , add_wide_lines, VK_FORMAT_B8, 8)
DEFINE_TILES(b1_vnni, VNNI, add_vnni_lines, VK_FORMAT_B1, 4)
DEFINE_TILES(b2_vnni, VNNI, add_vnni_lines, VK_FORMAT_B2, 4)
DEFINE_TILES(b4_vnni, VNNI, add_vnni_lines, VK_FORMAT_B4, 4)
DEFINE_TILES(b8_vnni, VNNI, add_vnni_lines, VK_FORMAT_B8, 4)

#endif							/* VK_AVX2_TILE_H */
