/*-------------------------------------------------------------------------
 *
 * vec_text.c
 *	  Text form of vector types: [1,2.5,3]
 *
 * NOTES
 *	  A text with n commas has at most n + 1 elements, so the vector is made
 *	  first and its elements are parsed into their place.
 *
 * IDENTIFICATION
 *	  src/types/vec_text.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "types/vec.h"

/* the set that PostgreSQL's scanner takes, independent of the locale */
static const char *
skip_space(const char *ptr)
{
	while (*ptr == ' ' || (*ptr >= '\t' && *ptr <= '\r'))
		ptr++;
	return ptr;
}

static void
report_syntax(const VecType *type, const char *text, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"",
					type->name, text),
			 detail ? errdetail("%s", detail) : 0));
}

/* for how many elements a parse of text needs room */
static int
max_dim(const char *text)
{
	int			dim = 1;

	for (const char *comma = strchr(text, ',');
		 comma != NULL && dim < VK_MAX_DIM;
		 comma = strchr(comma + 1, ','))
		dim++;

	return dim;
}

/*
 * parse_element -- read the number at *ptr and move *ptr behind it
 *
 * strtof, as in float4in, rounds once; PostgreSQL keeps LC_NUMERIC at C.
 */
static float
parse_element(const VecType *type, const char *text, const char **ptr)
{
	const char *start = skip_space(*ptr);
	char	   *end;
	float		value;

	errno = 0;
	value = type->parse(start, &end);

	if (end == start)
		report_syntax(type, text, NULL);

	/* too small a value is taken as zero or denormal, as strtof gives it */
	if (!vec_in_range(type, value) && (isfinite(value) || errno == ERANGE))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range for type %s",
						pnstrdup(start, end - start), type->name)));

	*ptr = end;
	return vec_check_element(type, value);
}

/*
 * vec_text_parse -- the palloc'd vector that a text stands for
 */
Vec *
vec_text_parse(const VecType *type, const char *text)
{
	const char *ptr = skip_space(text);
	Vec		   *vec = vec_alloc(type, max_dim(text));
	float	   *values = vec_all_room(type, vec);
	int			dim = 0;

	if (*ptr != '[')
		report_syntax(type, text,
					  "Vector contents must start with \"[\".");

	ptr = skip_space(ptr + 1);
	if (*ptr == ']')
		vec_check_dim(type, 0);

	for (;;)
	{
		if (dim == VK_MAX_DIM)
			vec_check_dim(type, dim + 1);

		values[dim++] = parse_element(type, text, &ptr);

		ptr = skip_space(ptr);
		if (*ptr == ']')
			break;
		if (*ptr != ',')
			report_syntax(type, text, NULL);
		ptr++;
	}

	ptr = skip_space(ptr + 1);
	if (*ptr != '\0')
		report_syntax(type, text, "Junk after closing right brace.");

	/* every comma of a well-formed text separates two elements */
	Assert(dim == vec->dim);
	vec_put(type, vec, 0, dim, values);
	return vec;
}

/*
 * vec_text_format -- the palloc'd text of a vector
 *
 * Elements are the shortest decimals that read back as the same float,
 * whatever extra_float_digits says.
 */
char *
vec_text_format(const float *values, int dim)
{
	/* an element with its separator, then both brackets and the end */
	char	   *text = palloc((Size) dim * FLOAT_SHORTEST_DECIMAL_LEN + 3);
	char	   *ptr = text;

	*ptr++ = '[';
	for (int i = 0; i < dim; i++)
	{
		if (i > 0)
			*ptr++ = ',';
		ptr += float_to_shortest_decimal_bufn(values[i], ptr);
	}
	*ptr++ = ']';
	*ptr = '\0';

	return text;
}
