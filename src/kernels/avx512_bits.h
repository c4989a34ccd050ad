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
 *	  than there is room for (see fits) stays as it is and is scanned by masks.
 *
 *	  Measured (README): 535 million rows of 768 bits a second from the
 *	  second-level cache, masks 245.
 *
 *	  The packed form is Bits, then tables of 128 bytes for each line, then
 *	  those of extra lines, then the arrays of int32 that BitsQuery points at.
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

/* where the parts of a packed form are */
typedef struct BitsQuery
{
	const uint8_t *tables;
	const uint8_t *extra_tables;
	const int32_t *offset;		/* lines + 1: sum of the lines before */
	const int32_t *extra_line;	/* rising */
	const int32_t *extra_offset;
	int			extras;
} BitsQuery;

static inline BitsQuery
bits_query(const void *packed)
{
	const Bits *head = packed;
	const size_t extras = head->extras > 0 ? head->extras : 0;
	BitsQuery	query;

	query.extras = head->extras;
	query.tables = (const uint8_t *) (head + 1);
	query.extra_tables = query.tables + (size_t) BITS_TABLES * head->lines;
	query.offset = (const int32_t *) (query.extra_tables +
									  BITS_TABLES * extras);
	query.extra_line = query.offset + head->lines + 1;
	query.extra_offset = query.extra_line + extras;
	return query;
}

/* ---------- packing ---------- */

/* 32 query elements, in the order of a line's dimensions, to two tables */
static inline void
make_tables(__m256i query, uint8_t *tables)
{
	const __m512i wide = _mm512_castsi256_si512(query);
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
		__m512i		sum = _mm512_setzero_si512();
		__m512i		negative = sum;

		for (int bit = 0; bit < 4; bit++)
		{
			__m512i		from = _mm512_add_epi8(position,
											   _mm512_set1_epi8((char) (16 * half + 4 * bit)));
			__m512i		element = _mm512_permutexvar_epi8(from, wide);

			sum = _mm512_mask_add_epi8(sum, entries[bit], sum, element);
			negative = _mm512_add_epi8(negative,
									   _mm512_min_epi8(element, _mm512_setzero_si512()));
		}
		_mm512_store_si512(tables + 64 * half, _mm512_sub_epi8(sum, negative));
	}
}

/* what make_tables adds to the sums of a line */
static inline int32_t
line_offset(__m256i query)
{
	const __m256i zero = _mm256_setzero_si256();
	__m256i		negative = _mm256_sub_epi8(zero, _mm256_min_epi8(query, zero));
	__m256i		sum4 = _mm256_sad_epu8(negative, zero);
	__m128i		sum2 = _mm_add_epi32(_mm256_castsi256_si128(sum4),
									 _mm256_extracti128_si256(sum4, 1));

	return _mm_cvtsi128_si32(sum2) + _mm_extract_epi32(sum2, 2);
}

static inline bool
has_extra(__m256i query)
{
	__m256i		sum = _mm256_abs_epi8(query);

	sum = _mm256_adds_epu8(sum, _mm256_shuffle_epi32(sum, 0x4e));
	sum = _mm256_adds_epu8(sum, _mm256_shuffle_epi32(sum, 0xb1));
	return _mm256_cmpgt_epu8_mask(sum, _mm256_set1_epi8((char) BITS_GROUP_MAX)) != 0;
}

/* move what a group has beyond BITS_GROUP_MAX from line to extra */
static void
split_line(int8_t line[32], int8_t extra[32])
{
	memset(extra, 0, 32);
	for (int group = 0; group < 8; group++)
	{
		int			first = group / 4 * 16 + group % 4;
		int			excess = -BITS_GROUP_MAX;

		for (int i = first; i < first + 16; i += 4)
			excess += abs(line[i]);
		for (int i = first; i < first + 16 && excess > 0; i += 4)
		{
			int			part = abs(line[i]) < excess ? abs(line[i]) : excess;

			extra[i] = (int8_t) (line[i] < 0 ? -part : part);
			line[i] = (int8_t) (line[i] - extra[i]);
			excess -= part;
		}
	}
}

static inline __m256i
load_line(const int8_t *query, int line, int dim)
{
	int			left = dim - 32 * line;

	return _mm256_maskz_loadu_epi8(left >= 32 ? ~(__mmask32) 0 :
								   (__mmask32) ((1u << left) - 1),
								   query + 32 * line);
}

/* room for the tables of that many extra lines */
static inline bool
fits(int lines, int extras, int dim)
{
	return sizeof(Bits) + (size_t) BITS_TABLES * (lines + extras) +
		sizeof(int32_t) * (lines + 1 + 2 * (size_t) extras) <=
		VK_PACKED_QUERY_SIZE(dim);
}

static void
pack_query_b1(const int8_t *query, int dim, void *packed)
{
	Bits	   *head = packed;
	int			lines = vk_format_lines(VK_FORMAT_B1, dim);
	int			extras = 0;
	int32_t    *offset;
	int32_t    *extra_line;
	int32_t    *extra_offset;
	uint8_t    *tables = (uint8_t *) (head + 1);
	uint8_t    *extra_tables = tables + (size_t) BITS_TABLES * lines;

	for (int line = 0; line < lines; line++)
		extras += has_extra(load_line(query, line, dim));
	memset(head, 0, sizeof(*head));
	head->lines = lines;
	if (!fits(lines, extras, dim))
	{
		head->extras = -1;
		pack_plain(query, dim, tables);
		return;
	}
	head->extras = extras;
	offset = (int32_t *) (extra_tables + (size_t) BITS_TABLES * extras);
	extra_line = offset + lines + 1;
	extra_offset = extra_line + extras;

	offset[0] = 0;
	for (int line = 0; line < lines; line++)
	{
		__m256i		elements = load_line(query, line, dim);

		if (has_extra(elements))
		{
			int8_t		kept[32];
			int8_t		extra[32];

			_mm256_storeu_si256((void *) kept, elements);
			split_line(kept, extra);
			elements = _mm256_loadu_si256((const void *) extra);
			make_tables(elements, extra_tables);
			*extra_line++ = line;
			*extra_offset++ = line_offset(elements);
			extra_tables += BITS_TABLES;
			elements = _mm256_loadu_si256((const void *) kept);
		}
		make_tables(elements, tables + (size_t) BITS_TABLES * line);
		offset[line + 1] = offset[line] + line_offset(elements);
	}
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
		int			line = query->extra_line[i] - first_line;
		const uint8_t *tables = query->extra_tables + (size_t) BITS_TABLES * i;
		BitsIndex	index;

		if (line < 0 || line >= lines)
			continue;
		index = bits_index(code + (size_t) VK_LINE_SIZE * line);
		sum = look_up(look_up(sum, index.low, tables), index.high, tables + 64);
		sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(query->extra_offset[i]));
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
