/*-------------------------------------------------------------------------
 *
 * neon_bytes.h
 *	  Part of neon.c: bytes and bits, without products of queries and codes.
 *
 * NOTES
 *	  What neon_integer.h builds upon, and the kernels for which SDOT changes
 *	  nothing: distances and populations of bytes are added in pairs (UADALP),
 *	  into 16 bits for as long as they hold the sums.
 *
 * IDENTIFICATION
 *	  src/kernels/neon_bytes.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_NEON_BYTES_H
#define VK_NEON_BYTES_H

#define MAXSIM_SIDE		4
#define SCRATCH_LINES	128		/* of bytes: 512 dimensions of a block, 8 kB */

#define BIT_LINES		31		/* 31 x 8 bits fit a byte */
#define DISTANCE_LINES	128		/* 128 x 2 x 255 fit 16 bits */

/* ---------- loads ---------- */

/* bytes i .. i + 15 of n; zeros after them */
static inline uint8x16_t
load_u8(const uint8_t *p, int i, int n)
{
	uint8_t		last[16] = {0};

	if (i + 16 <= n)
		return vld1q_u8(p + i);
	memcpy(last, p + i, n - i);
	return vld1q_u8(last);
}

static inline int8x16_t
load_i8(const int8_t *p, int i, int n)
{
	return vreinterpretq_s8_u8(load_u8((const uint8_t *) p, i, n));
}

/* the same 4 bytes for every lane */
static inline int8x16_t
broadcast_four(const void *p)
{
	return vreinterpretq_s8_s32(vdupq_n_s32(load_four(p)));
}

/* u - 128 */
static inline int8x16_t
flip_top(uint8x16_t u)
{
	return vreinterpretq_s8_u8(veorq_u8(u, vdupq_n_u8(0x80)));
}

/* |a - b|, which may be 255 */
static inline uint8x16_t
distance_i8(const int8_t *a, const int8_t *b, int i, int n)
{
	return vreinterpretq_u8_s8(vabdq_s8(load_i8(a, i, n), load_i8(b, i, n)));
}

/* field of codes of so many bits; both are constants where this inlines */
static inline uint8x16_t
field_of(uint8x16_t code, int bits, int field)
{
	if (field > 0)
		code = code >> (uint8_t) (bits * field);
	return bits * (field + 1) == 8 ? code :
		vandq_u8(code, vdupq_n_u8((uint8_t) ((1 << bits) - 1)));
}

static inline void
add_to(int32_t *p, int32x4_t x)
{
	vst1q_s32(p, vaddq_s32(vld1q_s32(p), x));
}

/* ---------- packed queries ---------- */

static void
pack_row_b4(const int8_t *query, int dim, void *packed)
{
	int8_t	   *out = packed;

	for (int i = 0; i < dim; i += 32)
	{
		int8_t		part[32] = {0};
		int8x16x2_t halves;

		memcpy(part, query + i, dim - i < 32 ? dim - i : 32);
		halves = vld2q_s8(part);
		vst1q_s8(out + i, halves.val[0]);
		vst1q_s8(out + i + 16, halves.val[1]);
	}
}

typedef void (*Multiply) (const int8_t *query, const uint8_t *scratch,
						  int units, int32_t *dots);

/* rows i .. i + 3 of n, the last one again for those past it */
static inline void
row_pointers(const int8_t *rows, size_t stride, int i, int n,
			 const int8_t *pointers[MAXSIM_SIDE])
{
	for (int j = 0; j < MAXSIM_SIDE; j++)
		pointers[j] = rows + (i + j < n ? i + j : n - 1) * stride;
}

/* ---------- distances and bits: pairs ---------- */

static double
pair_l1_i8(const void *a, const void *b, int dim)
{
	uint32x4_t	sum = vdupq_n_u32(0);

	for (int i = 0; i < dim; i += 16)
		sum = vpadalq_u16(sum, vpaddlq_u8(distance_i8(a, b, i, dim)));
	return vaddvq_u32(sum);
}

/* bits of both of a pair; either of which may be ignored */
typedef struct BitSums
{
	uint8x16_t	both;
	uint8x16_t	either;
	uint8x16_t	differ;
} BitSums;

static inline void
add_bits(BitSums *sums, uint8x16_t a, uint8x16_t b)
{
	sums->both = vaddq_u8(sums->both, vcntq_u8(vandq_u8(a, b)));
	sums->either = vaddq_u8(sums->either, vcntq_u8(vorrq_u8(a, b)));
	sums->differ = vaddq_u8(sums->differ, vcntq_u8(veorq_u8(a, b)));
}

static inline __attribute__((always_inline)) void
pair_bits(const uint8_t *a, const uint8_t *b, int bytes, uint32_t *both,
		  uint32_t *either, uint32_t *differ)
{
	*both = *either = *differ = 0;
	for (int first = 0; first < bytes; first += 16 * BIT_LINES)
	{
		const int	end = bytes - first < 16 * BIT_LINES ? bytes :
			first + 16 * BIT_LINES;
		BitSums		sums = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};

		for (int i = first; i < end; i += 16)
			add_bits(&sums, load_u8(a, i, end), load_u8(b, i, end));
		*both += vaddlvq_u8(sums.both);
		*either += vaddlvq_u8(sums.either);
		*differ += vaddlvq_u8(sums.differ);
	}
}

static int32_t
pair_hamming(const uint8_t *a, const uint8_t *b, int bytes)
{
	uint32_t	both;
	uint32_t	either;
	uint32_t	differ;

	pair_bits(a, b, bytes, &both, &either, &differ);
	return (int32_t) differ;
}

static void
pair_jaccard(const uint8_t *a, const uint8_t *b, int bytes, int32_t out[2])
{
	uint32_t	both;
	uint32_t	either;
	uint32_t	differ;

	pair_bits(a, b, bytes, &both, &either, &differ);
	out[0] = (int32_t) both;
	out[1] = (int32_t) either;
}

/* ---------- distances and bits: scans ---------- */

static void
scan_l1(const uint8_t *query, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	query += 4 * first_line;
	for (int first = 0; first < lines; first += DISTANCE_LINES)
	{
		const int	end = lines - first < DISTANCE_LINES ? lines :
			first + DISTANCE_LINES;
		uint16x8_t	sum[4] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};

		for (int line = first; line < end; line++)
		{
			uint8x16_t	q = vreinterpretq_u8_s8(broadcast_four(query + 4 * line));

			for (int i = 0; i < 4; i++)
				sum[i] = vpadalq_u8(sum[i], vabdq_u8(vld1q_u8(code + 16 * i), q));
			code += VK_LINE_SIZE;
		}
		for (int i = 0; i < 4; i++)
			add_to(dots->i + 4 * i, vreinterpretq_s32_u32(vpaddlq_u16(sum[i])));
	}
}

/* bits of lines and query, combined; a constant where this inlines */
typedef uint8x16_t (*CombineBits) (uint8x16_t a, uint8x16_t b);

static inline uint8x16_t
differing_bits(uint8x16_t a, uint8x16_t b)
{
	return veorq_u8(a, b);
}

static inline uint8x16_t
common_bits(uint8x16_t a, uint8x16_t b)
{
	return vandq_u8(a, b);
}

static inline __attribute__((always_inline)) void
scan_bits(const uint8_t *query, const uint8_t *code, int lines, VkDots *dots,
		  CombineBits combine)
{
	for (int first = 0; first < lines; first += BIT_LINES)
	{
		const int	end = lines - first < BIT_LINES ? lines : first + BIT_LINES;
		uint8x16_t	sum[4] = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};

		for (int line = first; line < end; line++)
		{
			uint8x16_t	q = vreinterpretq_u8_s8(broadcast_four(query + 4 * line));

			for (int i = 0; i < 4; i++)
				sum[i] = vaddq_u8(sum[i],
								  vcntq_u8(combine(vld1q_u8(code + 16 * i), q)));
			code += VK_LINE_SIZE;
		}
		for (int i = 0; i < 4; i++)
			add_to(dots->i + 4 * i,
				   vreinterpretq_s32_u32(vpaddlq_u16(vpaddlq_u8(sum[i]))));
	}
}

static void
scan_hamming(const uint8_t *query, int first_line, const uint8_t *code,
			 int lines, VkDots *dots)
{
	scan_bits(query + 4 * first_line, code, lines, dots, differing_bits);
}

static void
scan_common(const uint8_t *query, int first_line, const uint8_t *code,
			int lines, VkDots *dots)
{
	scan_bits(query + 4 * first_line, code, lines, dots, common_bits);
}

#endif							/* VK_NEON_BYTES_H */
