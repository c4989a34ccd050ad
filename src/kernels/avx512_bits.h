/*-------------------------------------------------------------------------
 *
 * avx512_bits.h
 *	  Part of avx512.c: scans of 1-bit codes by tables.
 *
 * NOTES
 *	  Four fields of a byte are a number n below 16: VPERMB looks up, in a
 *	  table of 64 bytes, what the four query elements of byte position j give
 *	  for it.  Entry 16 j + n is the sum of those whose bit of n is set, plus
 *	  what makes it unsigned: the negated sum of the negative ones, which is the
 *	  same for every row and taken off at the end (offset).  So a line takes two
 *	  lookups, each added up by one VPDPBUSD, in place of eight masks.
 *
 *	  An entry fits where the magnitudes of the four add up to 255 at most.
 *	  Where they do not, the excess goes to a second pair of tables for that
 *	  line (extra), which no row needs often: queries are quantised by their
 *	  greatest element, so few groups are near it.  A query with more such lines
 *	  than there is room for (most_extras) stays as it is and is scanned by masks.
 *
 *	  Measured (README): 535 million rows of 768 bits a second from the
 *	  second-level cache, masks 245.
 *
 *	  The packed form is Bits, the sums of the lines before each (int32, up to a
 *	  multiple of 64 bytes), tables of 128 bytes for each line, and the extra lines.
 *
 * IDENTIFICATION
 *	  src/kernels/avx512_bits.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_AVX512_BITS_H
#define VK_AVX512_BITS_H

#define BITS_TABLES		128		/* bytes a line: fields 0-3, fields 4-7 */
#define BITS_GROUP_MAX	254		/* of magnitudes in one group, 4 bytes x 2 halves
								 * a line */

/* head of the packed form: 64 bytes */
typedef struct Bits
{
	int32_t		lines;
	int32_t		extras;			/* lines with extra tables; -1: no tables, the
								 * plain int8 query follows */
	int32_t		pad[14];
} Bits;

/* a line whose entries do not fit, with the rest of them */
typedef struct BitsExtra
{
	uint8_t		tables[BITS_TABLES];
	int32_t		line;			/* rising */
	int32_t		offset;
	int32_t		pad[14];
} BitsExtra;

/* where the parts of a packed form are */
typedef struct BitsQuery
{
	const int32_t *offset;		/* lines + 1: sum of the lines before */
	const uint8_t *tables;
	const BitsExtra *extra;
	int			extras;
} BitsQuery;

static inline size_t
offsets_size(int lines)
{
	return VK_ROUND_UP((lines + 1) * sizeof(int32_t), 64);
}

static inline BitsQuery
bits_query(const void *packed)
{
	const Bits *head = packed;
	BitsQuery	query;

	query.extras = head->extras;
	query.offset = (const int32_t *) (head + 1);
	query.tables = (const uint8_t *) query.offset + offsets_size(head->lines);
	query.extra = (const BitsExtra *) (query.tables +
									   (size_t) BITS_TABLES * head->lines);
	return query;
}

/* ---------- packing ---------- */

/*
 * What makes the sums of each byte position unsigned, in all dwords of its half: the
 * negated sum of its negative elements.
 */
static inline __m256i
line_shift(__m256i query)
{
	const __m256i zero = _mm256_setzero_si256();
	__m256i		sum = _mm256_sub_epi8(zero, _mm256_min_epi8(query, zero));

	sum = _mm256_add_epi8(sum, _mm256_shuffle_epi32(sum, 0x4e));
	return _mm256_add_epi8(sum, _mm256_shuffle_epi32(sum, 0xb1));
}

/* 32 query elements, in the order of a line's dimensions, to two tables */
static inline void
make_tables(__m256i query, __m256i shift, uint8_t *tables)
{
	const __m512i elements = _mm512_castsi256_si512(query);
	const __m512i position = _mm512_setr_epi64(0, 0, 0x0101010101010101,
											   0x0101010101010101,
											   0x0202020202020202,
											   0x0202020202020202,
											   0x0303030303030303,
											   0x0303030303030303);
	static const uint64_t entries[4] = {
		0xaaaaaaaaaaaaaaaa, 0xcccccccccccccccc,
		0xf0f0f0f0f0f0f0f0, 0xff00ff00ff00ff00
	};

	for (int half = 0; half < 2; half++)
	{
		const __m512i first = _mm512_add_epi8(position, _mm512_set1_epi8((char) (16 * half)));
		__m512i		sum = _mm512_permutexvar_epi8(first, _mm512_castsi256_si512(shift));

		for (int bit = 0; bit < 4; bit++)
		{
			__m512i		from = _mm512_add_epi8(first, _mm512_set1_epi8((char) (4 * bit)));

			sum = _mm512_mask_add_epi8(sum, entries[bit], sum,
									   _mm512_permutexvar_epi8(from, elements));
		}
		_mm512_store_si512(tables + 64 * half, sum);
	}
}

/* what make_tables adds to the sums of a line: of each half two dwords are counted */
static inline int32_t
line_offset(__m256i shift)
{
	__m256i		sum4 = _mm256_sad_epu8(shift, _mm256_setzero_si256());

	return (_mm256_extract_epi32(sum4, 0) + _mm256_extract_epi32(sum4, 4)) / 2;
}

static inline bool
has_extra(__m256i query)
{
	__m256i		sum = _mm256_abs_epi8(query);

	sum = _mm256_adds_epu8(sum, _mm256_shuffle_epi32(sum, 0x4e));
	sum = _mm256_adds_epu8(sum, _mm256_shuffle_epi32(sum, 0xb1));
	return _mm256_cmpgt_epu8_mask(sum, _mm256_set1_epi8((char) BITS_GROUP_MAX)) != 0;
}

/*
 * What the elements of a line give up so that no group has more than BITS_GROUP_MAX:
 * the first of each as much as it can, then the next.  Two magnitudes fit in a byte.
 */
static inline __m256i
line_excess(__m256i query)
{
	const __m256i magnitude = _mm256_abs_epi8(query);
	__m256i		of_bit[4] = {
		_mm256_shuffle_epi32(magnitude, 0x00), _mm256_shuffle_epi32(magnitude, 0x55),
		_mm256_shuffle_epi32(magnitude, 0xaa), _mm256_shuffle_epi32(magnitude, 0xff)
	};
	const __m256i room = _mm256_sub_epi8(_mm256_set1_epi8((char) BITS_GROUP_MAX),
										 _mm256_add_epi8(of_bit[2], of_bit[3]));
	__m256i		excess = _mm256_subs_epu8(_mm256_add_epi8(of_bit[0], of_bit[1]), room);

	for (int bit = 0; bit < 4; bit++)
	{
		of_bit[bit] = _mm256_min_epu8(of_bit[bit], excess);
		excess = _mm256_sub_epi8(excess, of_bit[bit]);
	}
	return _mm256_sign_epi8(_mm256_blend_epi32(_mm256_blend_epi32(of_bit[0], of_bit[1], 0x22),
											   _mm256_blend_epi32(of_bit[2], of_bit[3], 0x88),
											   0xcc), query);
}

static inline __m256i
load_line(const int8_t *query, int line, int dim)
{
	int			left = dim - 32 * line;

	return _mm256_maskz_loadu_epi8(left >= 32 ? ~(__mmask32) 0 :
								   (__mmask32) ((1u << left) - 1),
								   query + 32 * line);
}

/* extra lines that there is room for */
static inline int
most_extras(int lines, int dim)
{
	return (int) ((VK_PACKED_QUERY_SIZE(dim) - sizeof(Bits) - offsets_size(lines) -
				   (size_t) BITS_TABLES * lines) / sizeof(BitsExtra));
}

/* Make the extra line of a line; returns what is left of it. */
static inline __m256i
pack_extra(__m256i query, int line, BitsExtra *out)
{
	const __m256i excess = line_excess(query);
	const __m256i shift = line_shift(excess);

	make_tables(excess, shift, out->tables);
	out->line = line;
	out->offset = line_offset(shift);
	return _mm256_sub_epi8(query, excess);
}

static void
pack_query_b1(const int8_t *query, int dim, void *packed)
{
	Bits	   *head = packed;
	const int	lines = vk_format_lines(VK_FORMAT_B1, dim);
	const int	most = most_extras(lines, dim);
	int32_t    *offset = (int32_t *) (head + 1);
	uint8_t    *tables = (uint8_t *) offset + offsets_size(lines);
	BitsExtra  *extra = (BitsExtra *) (tables + (size_t) BITS_TABLES * lines);
	int32_t		sum = 0;

	memset(head, 0, sizeof(*head));
	head->lines = lines;
	for (int line = 0; line < lines; line++)
	{
		__m256i		elements = load_line(query, line, dim);
		__m256i		shift;

		if (has_extra(elements))
		{
			if (head->extras == most)
			{
				head->extras = -1;
				pack_plain(query, dim, tables);
				return;
			}
			elements = pack_extra(elements, line, &extra[head->extras++]);
		}
		shift = line_shift(elements);
		make_tables(elements, shift, tables + (size_t) BITS_TABLES * line);
		offset[line] = sum;
		sum += line_offset(shift);
	}
	offset[lines] = sum;
}

/* ---------- scanning ---------- */

#define AND_OR	0xea			/* VPTERNLOG: (a & b) | c */

/* a line as the indexes of its two lookups */
typedef struct BitsIndex
{
	__m512i		low;
	__m512i		high;
} BitsIndex;

static inline __attribute__((always_inline)) BitsIndex
bits_index(const uint8_t *code)
{
	const __m512i nibble = _mm512_set1_epi8(0x0f);
	const __m512i table = _mm512_set1_epi32(0x30201000);
	__m512i		line = _mm512_loadu_si512(code);
	BitsIndex	index;

	index.low = _mm512_ternarylogic_epi32(line, nibble, table, AND_OR);
	index.high = _mm512_ternarylogic_epi32(_mm512_srli_epi16(line, 4), nibble,
										   table, AND_OR);
	return index;
}

static inline __attribute__((always_inline)) __m512i
look_up(__m512i sum, __m512i index, const uint8_t *table)
{
	return _mm512_dpbusd_epi32(sum,
							   _mm512_permutexvar_epi8(index, _mm512_load_si512(table)),
							   _mm512_set1_epi8(1));
}

/* what the extra tables of lines first_line .. add to the sums of a block */
static inline __m512i
add_extras(__m512i sum, const BitsQuery *query, int first_line,
		   const uint8_t *code, int lines)
{
	for (int i = 0; i < query->extras; i++)
	{
		const BitsExtra *extra = &query->extra[i];
		int			line = extra->line - first_line;
		BitsIndex	index;

		if (line < 0 || line >= lines)
			continue;
		index = bits_index(code + (size_t) VK_LINE_SIZE * line);
		sum = look_up(look_up(sum, index.low, extra->tables), index.high,
					  extra->tables + 64);
		sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(extra->offset));
	}
	return sum;
}

/* apart, so that its constants do not burden the other way */
static __attribute__((noinline)) void
scan_b1_masks(const void *query, int first_line, const uint8_t *code,
			  int lines, VkDots *dots)
{
	scan_masks(query, first_line, code, lines, dots, 1);
}

/* two lines a step: four chains hide the latency of VPDPBUSD */
static void
scan_b1(const void *packed, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	const BitsQuery query = bits_query(packed);
	const uint8_t *tables = query.tables + (size_t) BITS_TABLES * first_line;
	__m512i		sum0 = _mm512_loadu_si512(dots->i);
	__m512i		sum1 = _mm512_setzero_si512();
	__m512i		sum2 = sum1;
	__m512i		sum3 = sum1;
	int			line = 0;

	if (query.extras < 0)
	{
		scan_b1_masks(query.tables, first_line, code, lines, dots);
		return;
	}
	for (; line + 2 <= lines; line += 2)
	{
		BitsIndex	even = bits_index(code + (size_t) VK_LINE_SIZE * line);
		BitsIndex	odd = bits_index(code + (size_t) VK_LINE_SIZE * (line + 1));

		sum0 = look_up(sum0, even.low, tables);
		sum1 = look_up(sum1, even.high, tables + 64);
		sum2 = look_up(sum2, odd.low, tables + BITS_TABLES);
		sum3 = look_up(sum3, odd.high, tables + BITS_TABLES + 64);
		tables += 2 * BITS_TABLES;
	}
	if (line < lines)
	{
		BitsIndex	last = bits_index(code + (size_t) VK_LINE_SIZE * line);

		sum0 = look_up(sum0, last.low, tables);
		sum1 = look_up(sum1, last.high, tables + 64);
	}
	sum0 = _mm512_sub_epi32(sum0, _mm512_set1_epi32(query.offset[first_line + lines] -
													query.offset[first_line]));
	if (query.extras > 0)
		sum1 = add_extras(sum1, &query, first_line, code, lines);
	_mm512_storeu_si512(dots->i, _mm512_add_epi32(_mm512_add_epi32(sum0, sum1),
												  _mm512_add_epi32(sum2, sum3)));
}

#endif							/* VK_AVX512_BITS_H */
