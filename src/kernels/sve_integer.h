/*-------------------------------------------------------------------------
 *
 * sve_integer.h
 *	  Part of sve.c: products of int8 queries and codes.
 *
 * NOTES
 *	  A line of 64 bytes is two vectors of 32 bytes (or less than two), or one,
 *	  or the beginning of one.  SDOT reads codes as signed bytes: 8-bit codes
 *	  have their top bit flipped and 128 times the query's sum is added, unless
 *	  the CPU has USDOT.  sve.c includes this twice, for SVE with and without
 *	  it; LEVEL(name) gives a function its level's name.
 *
 *	  Packed queries: for scans, padded with zeros; for rows the same after 64
 *	  bytes whose first 4 are the sum.  For tiles, groups of 8 (the last of 1, 2,
 *	  4 or 8): for each 4 dimensions those of each query, zeros where there is
 *	  none.  Sums of each query's first 0, 64, 128, ... dimensions follow.
 *
 *	  A tile holds 8 queries x 16 lanes in up to 16 registers and takes the
 *	  fields of a line as they come, for all of its queries.  All sums are exact.
 *
 * IDENTIFICATION
 *	  src/kernels/sve_integer.h
 *
 *-------------------------------------------------------------------------
 */

/* ---------- four products a lane ---------- */

/* codes of so many bits, a constant where this inlines */
static inline LEVEL_TARGET svint32_t
LEVEL(dot_code) (svint32_t sum, svuint8_t code, svint8_t query, int bits)
{
#if LEVEL_NUMBER >= 1
	return bits == 8 ? svusdot_s32(sum, code, query) :
		svdot_s32(sum, svreinterpret_s8_u8(code), query);
#else
	if (bits == 8)
		code = sveor_n_u8_x(svptrue_b8(), code, 0x80);
	return svdot_s32(sum, svreinterpret_s8_u8(code), query);
#endif
}

/* ---------- scans ---------- */

/* both vectors of the line at code; bytes past the first 64 are zero */
static inline LEVEL_TARGET svuint8_t
LEVEL(line_field) (const uint8_t *code, size_t at, int bits, int field)
{
	svuint8_t	u = svld1_u8(svwhilelt_b8_u64(at, VK_LINE_SIZE), code + at);

	if (field > 0)
		u = svlsr_n_u8_x(svptrue_b8(), u, bits * field);
	return bits * (field + 1) == 8 ? u :
		svand_n_u8_x(svptrue_b8(), u, (1 << bits) - 1);
}

/* dots += sum, lanes from first on */
static inline LEVEL_TARGET void
LEVEL(add_lanes) (int32_t *dots, size_t first, svint32_t sum)
{
	svbool_t	lanes = svwhilelt_b32_u64(first, VK_LANES);
	svint32_t	before = svld1_s32(lanes, dots + first);

	svst1_s32(lanes, dots + first, svadd_s32_x(lanes, before, sum));
}

/* vectors a line takes: a constant, 1 or 2 */
static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(scan_vectors) (const int8_t *query, const uint8_t *code, int lines,
					 VkDots *dots, int bits, int vectors)
{
	svint32_t	low = svdup_n_s32(0);
	svint32_t	high = low;

	if (LEVEL_NUMBER == 0 && bits == 8)
		low = high = svdup_n_s32(128 * sum_i8(query, 4 * lines));
	for (int line = 0; line < lines; line++)
	{
		for (int field = 0; field < 8 / bits; field++)
		{
			svint8_t	q = svreinterpret_s8_s32(svdup_n_s32(load_four(query)));

			low = LEVEL(dot_code) (low, LEVEL(line_field) (code, 0, bits, field),
								   q, bits);
			if (vectors > 1)
				high = LEVEL(dot_code) (high,
										LEVEL(line_field) (code, svcntb(), bits, field),
										q, bits);
			query += 4;
		}
		code += VK_LINE_SIZE;
	}
	LEVEL(add_lanes) (dots->i, 0, low);
	if (vectors > 1)
		LEVEL(add_lanes) (dots->i, svcntw(), high);
}

static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(scan_int) (const void *packed, int first_line, const uint8_t *code,
				 int lines, VkDots *dots, int bits)
{
	const int8_t *query = (const int8_t *) packed + first_line * (32 / bits);

	if (svcntb() >= VK_LINE_SIZE)
		LEVEL(scan_vectors) (query, code, lines, dots, bits, 1);
	else
		LEVEL(scan_vectors) (query, code, lines, dots, bits, 2);
}

/* ---------- rows ---------- */

static LEVEL_TARGET int32_t
LEVEL(row_b8) (const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = (const int8_t *) packed + ROW_QUERY;
	const size_t width = svcntb();
	const size_t n = dim;
	svint32_t	sum0 = svdup_n_s32(0);
	svint32_t	sum1 = sum0;

	for (size_t i = 0; i < n; i += 2 * width)
	{
		svbool_t	first = svwhilelt_b8_u64(i, n);
		svbool_t	second = svwhilelt_b8_u64(i + width, n);

		/* the query is zero where there is no code */
		sum0 = LEVEL(dot_code) (sum0, svld1_u8(first, code + i),
								svld1_s8(first, query + i), 8);
		sum1 = LEVEL(dot_code) (sum1, svld1_u8(second, code + i + width),
								svld1_s8(second, query + i + width), 8);
	}
	return (int32_t) svaddv_s32(svptrue_b32(), svadd_s32_x(svptrue_b32(), sum0, sum1)) +
		(LEVEL_NUMBER == 0 ? 128 * load_four(packed) : 0);
}

/* ---------- tiles ---------- */

#define EACH_QUERY(X)	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

#define ZERO_QUERY(i) \
	svint32_t	low##i = svdup_n_s32(0); \
	svint32_t	high##i = low##i;
#define MULTIPLY_QUERY(i) \
	if (i < rows) \
	{ \
		svint8_t	q = svreinterpret_s8_s32(svdup_n_s32(load_four(query + 4 * i))); \
\
		low##i = LEVEL(dot_code) (low##i, low, q, bits); \
		if (vectors > 1) \
			high##i = LEVEL(dot_code) (high##i, high, q, bits); \
	}
#define ADD_QUERY(i) \
	if (i < rows) \
	{ \
		LEVEL(add_lanes) (dots + VK_LANES * i, 0, low##i); \
		if (vectors > 1) \
			LEVEL(add_lanes) (dots + VK_LANES * i, svcntw(), high##i); \
	}

/* rows queries of one group against consecutive lines; all ints but lines are
 * constants where this inlines */
static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(multiply) (const int8_t *query, const uint8_t *code, int lines,
				 int32_t *dots, int rows, int bits, int vectors)
{
	EACH_QUERY(ZERO_QUERY)

	for (int line = 0; line < lines; line++)
	{
		for (int field = 0; field < 8 / bits; field++)
		{
			svuint8_t	low = LEVEL(line_field) (code, 0, bits, field);
			svuint8_t	high = vectors > 1 ?
				LEVEL(line_field) (code, svcntb(), bits, field) : low;

			EACH_QUERY(MULTIPLY_QUERY)
			query += 4 * rows;
		}
		code += VK_LINE_SIZE;
	}
	EACH_QUERY(ADD_QUERY)
}

#undef ZERO_QUERY
#undef MULTIPLY_QUERY
#undef ADD_QUERY

static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(multiply_rows) (const int8_t *query, const uint8_t *code, int lines,
					  int32_t *dots, int rows, int bits, int vectors)
{
	if (rows == 8)
		LEVEL(multiply) (query, code, lines, dots, 8, bits, vectors);
	else if (rows == 4)
		LEVEL(multiply) (query, code, lines, dots, 4, bits, vectors);
	else if (rows == 2)
		LEVEL(multiply) (query, code, lines, dots, 2, bits, vectors);
	else
		LEVEL(multiply) (query, code, lines, dots, 1, bits, vectors);
}

static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(add_block) (const TileQueries *queries, int first, int last,
				  LineCursor *cursor, int first_line, int lines, int32_t *dots,
				  int bits)
{
	size_t		k = (size_t) first_line * (32 / bits);

	if (LEVEL_NUMBER == 0 && bits == 8)
		add_missing(queries, first, last, first_line, lines, dots);
	while (lines > 0)
	{
		const uint8_t *code;
		const int	n = next_lines(cursor, lines < CHUNK_LINES ? lines : CHUNK_LINES,
								   &code);

		for (int i = first; i < last; i += GROUP)
		{
			const int	rows = group_rows(queries->m, i);
			const int8_t *query = queries->packed + i * queries->depth + k * rows;

			if (svcntb() >= VK_LINE_SIZE)
				LEVEL(multiply_rows) (query, code, n, dots + (i - first) * VK_LANES,
									  rows, bits, 1);
			else
				LEVEL(multiply_rows) (query, code, n, dots + (i - first) * VK_LANES,
									  rows, bits, 2);
		}
		k += (size_t) n * (32 / bits);
		lines -= n;
	}
}

#define DEFINE_CODES(bits) \
static LEVEL_TARGET void \
LEVEL(scan_b##bits) (const void *packed, int first_line, const uint8_t *code, \
					 int lines, VkDots *dots) \
{ \
	LEVEL(scan_int) (packed, first_line, code, lines, dots, bits); \
} \
\
static LEVEL_TARGET void \
LEVEL(add_block_b##bits) (const TileQueries *queries, int first, int last, \
						  LineCursor *cursor, int first_line, int lines, \
						  int32_t *dots) \
{ \
	LEVEL(add_block) (queries, first, last, cursor, first_line, lines, dots, \
					  bits); \
} \
DEFINE_TILE_KERNELS(LEVEL(tile_b##bits), LEVEL(tile_screen_b##bits), \
					LEVEL(add_block_b##bits), bits, below.screen)

DEFINE_CODES(1)
DEFINE_CODES(2)
DEFINE_CODES(4)
DEFINE_CODES(8)

#undef DEFINE_CODES
#undef EACH_QUERY

static void
LEVEL(fill_scans) (VkKernels *kernels)
{
	kernels->scan[VK_FORMAT_B1] = LEVEL(scan_b1);
	kernels->scan[VK_FORMAT_B2] = LEVEL(scan_b2);
	kernels->scan[VK_FORMAT_B4] = LEVEL(scan_b4);
	kernels->scan[VK_FORMAT_B8] = LEVEL(scan_b8);
	kernels->row[1] = LEVEL(row_b8);
}

static void
LEVEL(fill_tiles) (VkKernels *kernels)
{
	kernels->tile[VK_FORMAT_B1] = LEVEL(tile_b1);
	kernels->tile[VK_FORMAT_B2] = LEVEL(tile_b2);
	kernels->tile[VK_FORMAT_B4] = LEVEL(tile_b4);
	kernels->tile[VK_FORMAT_B8] = LEVEL(tile_b8);
	kernels->tile_screen[VK_FORMAT_B1] = LEVEL(tile_screen_b1);
	kernels->tile_screen[VK_FORMAT_B2] = LEVEL(tile_screen_b2);
	kernels->tile_screen[VK_FORMAT_B4] = LEVEL(tile_screen_b4);
	kernels->tile_screen[VK_FORMAT_B8] = LEVEL(tile_screen_b8);
}
