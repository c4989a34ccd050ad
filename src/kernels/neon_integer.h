/*-------------------------------------------------------------------------
 *
 * neon_integer.h
 *	  Part of neon.c: products of int8 queries and codes, one level at a time.
 *
 * NOTES
 *	  neon.c includes this once for each LEVEL: base (SMULL), dotprod (SDOT)
 *	  and i8mm (USDOT, USMMLA); LEVEL(name) gives a function its level's name
 *	  and LEVEL_TARGET its instructions.
 *
 *	  SDOT reads codes as signed bytes.  1 to 4 bits are below 128; 8 bits
 *	  have their top bit flipped, which takes 128 off each, and 128 times the
 *	  query's sum is added.  USDOT and USMMLA need neither.
 *
 *	  A tile expands 512 dimensions of a block to signed (i8mm: unsigned) bytes
 *	  in a scratch of 8 kB, then multiplies it with up to 6 queries at a time,
 *	  in 24 accumulators.  Units are what an instruction multiplies at once:
 *	  the 4 dimensions of a line, or with USMMLA the 8 of two lines, whose
 *	  lanes alternate in the scratch.
 *
 *	  Packed queries: for scans, padded with zeros; for 8-bit rows the same
 *	  after 64 bytes whose first 4 are the sum; for 4-bit rows 16 even and then
 *	  16 odd dimensions of each 32.  For tiles, groups of 6 queries (the last of
 *	  what is left), one after the other: for each unit that of each query.
 *	  Sums of each query's first 0, 64, 128, ... dimensions follow.
 *
 *	  All sums are exact.
 *
 * IDENTIFICATION
 *	  src/kernels/neon_integer.h
 *
 *-------------------------------------------------------------------------
 */

#if LEVEL_NUMBER >= 2
#define UNIT	8				/* dimensions */
#define GROUP	6				/* queries */
#elif LEVEL_NUMBER == 1
#define UNIT	4
#define GROUP	6
#else
#define UNIT	4
#define GROUP	4				/* products need registers, too */
#endif

/* ---------- four products a lane ---------- */

/*
 * Each lane of sum += its 4 products.  Two 16-bit products may be added before
 * they are widened where not both can be -128 x -128: queries that are packed
 * are never -128.
 */
static inline LEVEL_TARGET int32x4_t
LEVEL(dot_signed) (int32x4_t sum, int8x16_t code, int8x16_t query)
{
#if LEVEL_NUMBER >= 1
	return vdotq_s32(sum, code, query);
#else
	int16x8_t	low = vmull_s8(vget_low_s8(code), vget_low_s8(query));
	int16x8_t	high = vmull_high_s8(code, query);

	return vpadalq_s16(sum, vpaddq_s16(low, high));
#endif
}

/* of any int8; all four lanes together are the sum */
static inline LEVEL_TARGET int32x4_t
LEVEL(dot_any) (int32x4_t sum, int8x16_t a, int8x16_t b)
{
#if LEVEL_NUMBER >= 1
	return vdotq_s32(sum, a, b);
#else
	sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
	return vpadalq_s16(sum, vmull_high_s8(a, b));
#endif
}

/* the same for squares of unsigned bytes */
static inline LEVEL_TARGET uint32x4_t
LEVEL(add_squares) (uint32x4_t sum, uint8x16_t x)
{
#if LEVEL_NUMBER >= 1
	return vdotq_u32(sum, x, x);
#else
	sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(x), vget_low_u8(x)));
	return vpadalq_u16(sum, vmull_high_u8(x, x));
#endif
}

/* 8-bit codes; less 128 times the query below the i8mm level */
static inline LEVEL_TARGET int32x4_t
LEVEL(dot_b8) (int32x4_t sum, uint8x16_t code, int8x16_t query)
{
#if LEVEL_NUMBER >= 2
	return vusdotq_s32(sum, code, query);
#else
	return LEVEL(dot_signed) (sum, flip_top(code), query);
#endif
}

/* ---------- pairs of int8 vectors ---------- */

static LEVEL_TARGET double
LEVEL(pair_l2_i8) (const void *a, const void *b, int dim)
{
	uint32x4_t	sum[2] = {vdupq_n_u32(0), vdupq_n_u32(0)};
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
		for (int j = 0; j < 2; j++)
			sum[j] = LEVEL(add_squares) (sum[j], distance_i8(a, b, i + 16 * j, dim));
	for (; i < dim; i += 16)
		sum[0] = LEVEL(add_squares) (sum[0], distance_i8(a, b, i, dim));
	return vaddvq_u32(vaddq_u32(sum[0], sum[1]));
}

static inline LEVEL_TARGET int32_t
LEVEL(dot_i8) (const int8_t *a, const int8_t *b, int dim)
{
	int32x4_t	sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
		for (int j = 0; j < 2; j++)
			sum[j] = LEVEL(dot_any) (sum[j], vld1q_s8(a + i + 16 * j),
									 vld1q_s8(b + i + 16 * j));
	for (; i < dim; i += 16)
		sum[0] = LEVEL(dot_any) (sum[0], load_i8(a, i, dim), load_i8(b, i, dim));
	return vaddvq_s32(vaddq_s32(sum[0], sum[1]));
}

static LEVEL_TARGET double
LEVEL(pair_dot_i8) (const void *a, const void *b, int dim)
{
	return LEVEL(dot_i8) (a, b, dim);
}

static LEVEL_TARGET void
LEVEL(pair_cosine_i8) (const void *a, const void *b, int dim, double out[3])
{
	int32x4_t	dot = vdupq_n_s32(0);
	int32x4_t	a_norm = dot;
	int32x4_t	b_norm = dot;

	for (int i = 0; i < dim; i += 16)
	{
		int8x16_t	x = load_i8(a, i, dim);
		int8x16_t	y = load_i8(b, i, dim);

		dot = LEVEL(dot_any) (dot, x, y);
		a_norm = LEVEL(dot_any) (a_norm, x, x);
		b_norm = LEVEL(dot_any) (b_norm, y, y);
	}
	out[0] = vaddvq_s32(dot);
	out[1] = vaddvq_s32(a_norm);
	out[2] = vaddvq_s32(b_norm);
}

/* ---------- MaxSim ---------- */

/* sum += 16 dimensions, from k on, of 4 query and 4 document vectors */
static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(maxsim_step) (int32x4_t sum[MAXSIM_SIDE][MAXSIM_SIDE],
					const int8_t *const *query, const int8_t *const *document,
					size_t k)
{
	int8x16_t	rows[MAXSIM_SIDE];

	for (int j = 0; j < MAXSIM_SIDE; j++)
		rows[j] = vld1q_s8(document[j] + k);
	for (int i = 0; i < MAXSIM_SIDE; i++)
	{
		int8x16_t	q = vld1q_s8(query[i] + k);

		for (int j = 0; j < MAXSIM_SIDE; j++)
			sum[i][j] = LEVEL(dot_any) (sum[i][j], q, rows[j]);
	}
}

/* the greatest dots of 4 query vectors with 4 of the document */
static inline LEVEL_TARGET void
LEVEL(maxsim_part) (const int8_t *const query[MAXSIM_SIDE],
					const int8_t *const document[MAXSIM_SIDE], int dim,
					int32_t greatest[MAXSIM_SIDE])
{
	const int	whole = dim / 16 * 16;
	int32x4_t	sum[MAXSIM_SIDE][MAXSIM_SIDE];

	for (int i = 0; i < MAXSIM_SIDE; i++)
		for (int j = 0; j < MAXSIM_SIDE; j++)
			sum[i][j] = vdupq_n_s32(0);
	for (int k = 0; k < whole; k += 16)
		LEVEL(maxsim_step) (sum, query, document, k);
	if (whole < dim)
	{
		int8_t		last[2 * MAXSIM_SIDE][16] = {{0}};
		const int8_t *rows[2 * MAXSIM_SIDE];

		for (int i = 0; i < 2 * MAXSIM_SIDE; i++)
		{
			const int8_t *row = i < MAXSIM_SIDE ? query[i] :
				document[i - MAXSIM_SIDE];

			memcpy(last[i], row + whole, dim - whole);
			rows[i] = last[i];
		}
		LEVEL(maxsim_step) (sum, rows, rows + MAXSIM_SIDE, 0);
	}
	for (int i = 0; i < MAXSIM_SIDE; i++)
	{
		int32x4_t	dots = vpaddq_s32(vpaddq_s32(sum[i][0], sum[i][1]),
									  vpaddq_s32(sum[i][2], sum[i][3]));
		int32_t		dot = vmaxvq_s32(dots);

		greatest[i] = dot > greatest[i] ? dot : greatest[i];
	}
}

static LEVEL_TARGET double
LEVEL(maxsim_i8) (const void *query, size_t query_stride, int m,
				  const void *document, size_t document_stride, int n, int dim)
{
	double		sum = 0.0;

	for (int i = 0; i < m; i += MAXSIM_SIDE)
	{
		const int8_t *q[MAXSIM_SIDE];
		int32_t		greatest[MAXSIM_SIDE] = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN};

		row_pointers(query, query_stride, i, m, q);
		for (int j = 0; j < n; j += MAXSIM_SIDE)
		{
			const int8_t *d[MAXSIM_SIDE];

			row_pointers(document, document_stride, j, n, d);
			LEVEL(maxsim_part) (q, d, dim, greatest);
		}
		for (int row = 0; row < MAXSIM_SIDE && i + row < m; row++)
			sum += greatest[row];
	}
	return sum;
}

/* ---------- scans ---------- */

/*
 * bits is a constant where this inlines.  A set bit is -1 at 1 bit, where one
 * instruction gives that; the sums are negated then.
 */
static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(scan_int) (const void *packed, int first_line, const uint8_t *code,
				 int lines, VkDots *dots, int bits)
{
	const int8_t *query = (const int8_t *) packed + first_line * (32 / bits);
	int32x4_t	sum[4];

	for (int i = 0; i < 4; i++)
		sum[i] = vdupq_n_s32(0);
	for (int line = 0; line < lines; line++)
	{
		for (int field = 0; field < 8 / bits; field++)
		{
			int8x16_t	q = broadcast_four(query + 4 * field);

			for (int i = 0; i < 4; i++)
			{
				uint8x16_t	u = vld1q_u8(code + 16 * i);

				u = bits == 1 ? vtstq_u8(u, vdupq_n_u8(1 << field)) :
					field_of(u, bits, field);
				sum[i] = bits == 8 ? LEVEL(dot_b8) (sum[i], u, q) :
					LEVEL(dot_signed) (sum[i], vreinterpretq_s8_u8(u), q);
			}
		}
		query += 32 / bits;
		code += VK_LINE_SIZE;
	}
	if (bits == 8 && UNIT == 4)
	{
		int32x4_t	missing = vdupq_n_s32(128 * sum_i8(query - 4 * lines, 4 * lines));

		for (int i = 0; i < 4; i++)
			sum[i] = vaddq_s32(sum[i], missing);
	}
	for (int i = 0; i < 4; i++)
	{
		int32x4_t	before = vld1q_s32(dots->i + 4 * i);

		vst1q_s32(dots->i + 4 * i, bits == 1 ? vsubq_s32(before, sum[i]) :
				  vaddq_s32(before, sum[i]));
	}
}

#define DEFINE_SCAN(bits) \
static LEVEL_TARGET void \
LEVEL(scan_b##bits) (const void *packed, int first_line, const uint8_t *code, \
					 int lines, VkDots *dots) \
{ \
	LEVEL(scan_int) (packed, first_line, code, lines, dots, bits); \
}

DEFINE_SCAN(1)
DEFINE_SCAN(2)
DEFINE_SCAN(4)
DEFINE_SCAN(8)

#undef DEFINE_SCAN

/* ---------- rows ---------- */

static inline LEVEL_TARGET int32x4_t
LEVEL(row_b4_part) (int32x4_t sum, uint8x16_t code, const int8_t *query)
{
	sum = LEVEL(dot_signed) (sum, vreinterpretq_s8_u8(field_of(code, 4, 0)),
							 vld1q_s8(query));
	return LEVEL(dot_signed) (sum, vreinterpretq_s8_u8(field_of(code, 4, 1)),
							  vld1q_s8(query + 16));
}

static LEVEL_TARGET int32_t
LEVEL(row_b4) (const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = packed;
	const int	bytes = (dim + 1) / 2;
	int32x4_t	sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
	int			i = 0;

	for (; i + 32 <= bytes; i += 32)
		for (int j = 0; j < 2; j++)
			sum[j] = LEVEL(row_b4_part) (sum[j], vld1q_u8(code + i + 16 * j),
										 query + 2 * i + 32 * j);
	for (; i < bytes; i += 16)
		sum[0] = LEVEL(row_b4_part) (sum[0], load_u8(code, i, bytes),
									 query + 2 * i);
	return vaddvq_s32(vaddq_s32(sum[0], sum[1]));
}

static LEVEL_TARGET int32_t
LEVEL(row_b8) (const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = (const int8_t *) packed + ROW_QUERY;
	int32x4_t	sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
	int32_t		query_sum;
	int			i = 0;

	for (; i + 32 <= dim; i += 32)
		for (int j = 0; j < 2; j++)
			sum[j] = LEVEL(dot_b8) (sum[j], vld1q_u8(code + i + 16 * j),
									vld1q_s8(query + i + 16 * j));
	for (; i < dim; i += 16)
		sum[0] = LEVEL(dot_b8) (sum[0], load_u8(code, i, dim),
								vld1q_s8(query + i));
	memcpy(&query_sum, packed, sizeof(query_sum));
	return vaddvq_s32(vaddq_s32(sum[0], sum[1])) +
		(UNIT == 4 ? 128 * query_sum : 0);
}

/* ---------- tiles: packing ---------- */

/* queries of the group that begins with query first, as many as are packed */
static inline int
LEVEL(group_rows) (int m, int first)
{
	int			rows = m - first < GROUP ? m - first : GROUP;

	return UNIT == 8 ? (rows + 1) / 2 * 2 : rows;
}

static void
LEVEL(pack_tile) (const int8_t *queries, size_t query_stride, int m, int dim,
				  void *packed)
{
	int8_t	   *group = packed;

	for (int first = 0; first < m; first += GROUP)
	{
		const int	rows = LEVEL(group_rows) (m, first);

		pack_group(queries + first * query_stride, query_stride, m - first, rows,
				   dim, UNIT, group);
		group += rows * VK_ROUND_UP(dim, VK_TILE_STEP);
	}
	pack_step_sums(queries, query_stride, m, dim, packed);
}

/* ---------- tiles: a block's lines as bytes ---------- */

static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(expand_lines) (const uint8_t *code, int lines, uint8_t *scratch, int bits)
{
	for (int line = 0; line < lines; line++)
		for (int i = 0; i < 4; i++)
		{
			uint8x16_t	part = vld1q_u8(code + VK_LINE_SIZE * (size_t) line + 16 * i);
			uint8_t    *out = scratch + VK_LINE_SIZE * (8 / bits) * line + 16 * i;

			if (bits == 8 && UNIT == 4)
				part = vreinterpretq_u8_s8(flip_top(part));
			for (int field = 0; field < 8 / bits; field++)
				vst1q_u8(out + VK_LINE_SIZE * field, field_of(part, bits, field));
		}
}

/* alternate the lanes of two lines each; an odd last one meets zeros */
static inline LEVEL_TARGET void
LEVEL(pair_lines) (uint8_t *scratch, int lines)
{
	if (lines % 2 != 0)
		memset(scratch + VK_LINE_SIZE * lines, 0, VK_LINE_SIZE);
	for (int line = 0; line < lines; line += 2)
	{
		uint8_t    *at = scratch + VK_LINE_SIZE * line;
		uint32x4_t	part[8];

		for (int i = 0; i < 8; i++)
			part[i] = vreinterpretq_u32_u8(vld1q_u8(at + 16 * i));
		for (int i = 0; i < 4; i++)
		{
			vst1q_u8(at + 32 * i,
					 vreinterpretq_u8_u32(vzip1q_u32(part[i], part[i + 4])));
			vst1q_u8(at + 32 * i + 16,
					 vreinterpretq_u8_u32(vzip2q_u32(part[i], part[i + 4])));
		}
	}
}

/* the next lines of a block into scratch; returns how many lines of bytes */
static inline __attribute__((always_inline)) LEVEL_TARGET int
LEVEL(fill_scratch) (LineCursor *cursor, int lines, uint8_t *scratch, int bits)
{
	const int	bytes_lines = lines * (8 / bits);
	uint8_t    *out = scratch;

	while (lines > 0)
	{
		const uint8_t *code;
		const int	n = next_lines(cursor, lines, &code);

		LEVEL(expand_lines) (code, n, out, bits);
		out += VK_LINE_SIZE * (8 / bits) * n;
		lines -= n;
	}
	if (UNIT == 8)
		LEVEL(pair_lines) (scratch, bytes_lines);
	return bytes_lines;
}

/* ---------- tiles: products ---------- */

/* dots += rows queries (a constant) x 16 lanes over units of scratch */
#if LEVEL_NUMBER >= 2
static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(multiply) (const int8_t *query, int rows, const uint8_t *scratch,
				 int units, int32_t *dots)
{
	int32x4_t	sum[GROUP / 2][8];

	for (int i = 0; i < rows / 2; i++)
		for (int j = 0; j < 8; j++)
			sum[i][j] = vdupq_n_s32(0);
	for (int unit = 0; unit < units; unit++)
	{
		int8x16_t	q[GROUP / 2];

		for (int i = 0; i < rows / 2; i++)
			q[i] = vld1q_s8(query + 16 * i);
		for (int j = 0; j < 8; j++)
		{
			uint8x16_t	u = vld1q_u8(scratch + 16 * j);

			for (int i = 0; i < rows / 2; i++)
				sum[i][j] = vusmmlaq_s32(sum[i][j], u, q[i]);
		}
		query += UNIT * rows;
		scratch += 2 * VK_LINE_SIZE;
	}
	/* each sum: two lanes x two queries */
	for (int i = 0; i < rows / 2; i++)
		for (int j = 0; j < 4; j++)
		{
			int32x4_t	first = vuzp1q_s32(sum[i][2 * j], sum[i][2 * j + 1]);
			int32x4_t	second = vuzp2q_s32(sum[i][2 * j], sum[i][2 * j + 1]);

			add_to(dots + 2 * i * VK_LANES + 4 * j, first);
			add_to(dots + (2 * i + 1) * VK_LANES + 4 * j, second);
		}
}
#else
static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(multiply) (const int8_t *query, int rows, const uint8_t *scratch,
				 int units, int32_t *dots)
{
	int32x4_t	sum[GROUP][4];

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < 4; j++)
			sum[i][j] = vdupq_n_s32(0);
	for (int unit = 0; unit < units; unit++)
	{
		int8x16_t	u[4];

		for (int j = 0; j < 4; j++)
			u[j] = vreinterpretq_s8_u8(vld1q_u8(scratch + 16 * j));
		for (int i = 0; i < rows; i++)
		{
			int8x16_t	q = broadcast_four(query + UNIT * i);

			for (int j = 0; j < 4; j++)
				sum[i][j] = LEVEL(dot_signed) (sum[i][j], u[j], q);
		}
		query += UNIT * rows;
		scratch += VK_LINE_SIZE;
	}
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < 4; j++)
			add_to(dots + i * VK_LANES + 4 * j, sum[i][j]);
}
#endif

#define DEFINE_MULTIPLY(rows) \
static LEVEL_TARGET void \
LEVEL(multiply_##rows) (const int8_t *query, const uint8_t *scratch, int units, \
						int32_t *dots) \
{ \
	LEVEL(multiply) (query, rows, scratch, units, dots); \
}

/* by number of queries, packed ones */
#if UNIT == 8
DEFINE_MULTIPLY(2)
DEFINE_MULTIPLY(4)
DEFINE_MULTIPLY(6)

static const Multiply LEVEL(multiply_rows)[] = {
	NULL, NULL, LEVEL(multiply_2), NULL, LEVEL(multiply_4), NULL,
	LEVEL(multiply_6)
};
#else
DEFINE_MULTIPLY(1)
DEFINE_MULTIPLY(2)
DEFINE_MULTIPLY(3)
DEFINE_MULTIPLY(4)
#if GROUP > 4
DEFINE_MULTIPLY(5)
DEFINE_MULTIPLY(6)
#endif

static const Multiply LEVEL(multiply_rows)[] = {
	NULL, LEVEL(multiply_1), LEVEL(multiply_2), LEVEL(multiply_3),
	LEVEL(multiply_4),
#if GROUP > 4
	LEVEL(multiply_5), LEVEL(multiply_6)
#endif
};
#endif

#undef DEFINE_MULTIPLY

/* ---------- tiles ---------- */

static inline __attribute__((always_inline)) LEVEL_TARGET void
LEVEL(add_block) (const TileQueries *queries, int first, int last,
				  LineCursor *cursor, int first_line, int lines, int32_t *dots,
				  int bits)
{
	const int	chunk = SCRATCH_LINES / (8 / bits);
	size_t		k = (size_t) first_line * (32 / bits);
	uint8_t		scratch[VK_LINE_SIZE * SCRATCH_LINES];

	if (bits == 8 && UNIT == 4)
		add_missing(queries, first, last, first_line, lines, dots);
	while (lines > 0)
	{
		const int	n = lines < chunk ? lines : chunk;
		const int	bytes_lines = LEVEL(fill_scratch) (cursor, n, scratch, bits);
		const int	units = (4 * bytes_lines + UNIT - 1) / UNIT;

		for (int i = first; i < last; i += GROUP)
		{
			const int	rows = LEVEL(group_rows) (queries->m, i);

			LEVEL(multiply_rows)[rows] (queries->packed + i * queries->depth +
										k * rows, scratch, units,
										dots + (i - first) * VK_LANES);
		}
		k += 4 * (size_t) bytes_lines;
		lines -= n;
	}
}

#define DEFINE_TILE(bits) \
static LEVEL_TARGET void \
LEVEL(add_block_b##bits) (const TileQueries *queries, int first, int last, \
						  LineCursor *cursor, int first_line, int lines, \
						  int32_t *dots) \
{ \
	LEVEL(add_block) (queries, first, last, cursor, first_line, lines, dots, \
					  bits); \
} \
DEFINE_TILE_KERNELS(LEVEL(tile_b##bits), LEVEL(tile_screen_b##bits), \
					LEVEL(add_block_b##bits), bits, template_screen)

DEFINE_TILE(1)
DEFINE_TILE(2)
DEFINE_TILE(4)
DEFINE_TILE(8)

#undef DEFINE_TILE

static void
LEVEL(fill) (VkKernels *kernels)
{
	kernels->pair_l2[VK_I8] = LEVEL(pair_l2_i8);
	kernels->pair_dot[VK_I8] = LEVEL(pair_dot_i8);
	kernels->pair_cosine[VK_I8] = LEVEL(pair_cosine_i8);
	kernels->maxsim[VK_I8] = LEVEL(maxsim_i8);
	kernels->row[0] = LEVEL(row_b4);
	kernels->row[1] = LEVEL(row_b8);
	kernels->scan[VK_FORMAT_B1] = LEVEL(scan_b1);
	kernels->scan[VK_FORMAT_B2] = LEVEL(scan_b2);
	kernels->scan[VK_FORMAT_B4] = LEVEL(scan_b4);
	kernels->scan[VK_FORMAT_B8] = LEVEL(scan_b8);
	kernels->tile[VK_FORMAT_B1] = LEVEL(tile_b1);
	kernels->tile[VK_FORMAT_B2] = LEVEL(tile_b2);
	kernels->tile[VK_FORMAT_B4] = LEVEL(tile_b4);
	kernels->tile[VK_FORMAT_B8] = LEVEL(tile_b8);
	kernels->tile_screen[VK_FORMAT_B1] = LEVEL(tile_screen_b1);
	kernels->tile_screen[VK_FORMAT_B2] = LEVEL(tile_screen_b2);
	kernels->tile_screen[VK_FORMAT_B4] = LEVEL(tile_screen_b4);
	kernels->tile_screen[VK_FORMAT_B8] = LEVEL(tile_screen_b8);
	for (int format = 0; format < VK_INT_FORMATS; format++)
		kernels->pack_tile[format] = LEVEL(pack_tile);
}

#undef UNIT
#undef GROUP
