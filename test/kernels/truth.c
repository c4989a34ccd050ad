/*-------------------------------------------------------------------------
 *
 * truth.c
 *	  What kernels are compared with: wide sums, exact elements, the screen.
 *
 * IDENTIFICATION
 *	  test/kernels/truth.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "check.h"

void
vk_wide_add(VkWide *sum, double term)
{
	double		total = sum->high + term;
	double		part = total - sum->high;
	double		rest = (sum->high - (total - part)) + (term - part);

	sum->low += rest;
	sum->high = total + sum->low;
	sum->low = sum->low - (sum->high - total);
}

void
vk_wide_add_product(VkWide *sum, double a, double b)
{
	double		product = a * b;

	vk_wide_add(sum, product);
	vk_wide_add(sum, fma(a, b, -product));
}

double
vk_rounding(double n)
{
	return n * 0x1p-24 / (1 - n * 0x1p-24);
}

/* ---------- elements ---------- */

/*
 * A number of 1 + exponent_bits + fraction_bits bits; the exponent's bias is
 * half its range.
 */
static double
decode(unsigned bits, int exponent_bits, int fraction_bits)
{
	const int	largest = (1 << exponent_bits) - 1;
	const int	exponent = (int) (bits >> fraction_bits) & largest;
	const int	fraction = (int) bits & ((1 << fraction_bits) - 1);
	const int	unit = 1 - largest / 2 - fraction_bits;
	double		value;

	if (exponent == largest)
		value = fraction == 0 ? INFINITY : NAN;
	else if (exponent == 0)
		value = ldexp(fraction, unit);
	else
		value = ldexp(fraction + (1 << fraction_bits), unit + exponent - 1);
	return (bits >> (exponent_bits + fraction_bits)) & 1 ? -value : value;
}

void
vk_widen(VkElement element, const void *v, int n, double *out)
{
	for (int i = 0; i < n; i++)
	{
		float		f;
		uint16_t	h;

		switch (element)
		{
			case VK_F32:
				memcpy(&f, (const char *) v + 4 * (size_t) i, sizeof(f));
				out[i] = f;
				break;
			case VK_I8:
				out[i] = ((const int8_t *) v)[i];
				break;
			default:
				memcpy(&h, (const char *) v + 2 * (size_t) i, sizeof(h));
				out[i] = element == VK_F16 ? decode(h, 5, 10) : decode(h, 8, 7);
				break;
		}
	}
}

/* ---------- the screen ---------- */

float
vk_screen_lower(const VkScreenQuery *query, const VkScreenRows *rows, int lane,
				int32_t dot)
{
	const float sum = (float) (query->dot_mult * dot - query->dot_offset);
	const float t = query->scale * sum;
	float		lower = query->base;

	lower = fmaf(query->weight_norm2, rows->norm2[lane], lower);
	lower = fmaf(-t, rows->a[lane], lower);
	lower = fmaf(-fabsf(t), rows->a_error[lane], lower);
	lower = fmaf(-query->weight_error, rows->error[lane], lower);
	return fmaf(-query->weight_norm, rows->norm[lane], lower);
}

/* ---------- sameness ---------- */

bool
vk_same_f32(float a, float b)
{
	return (a != a && b != b) || memcmp(&a, &b, sizeof(a)) == 0;
}

bool
vk_same_f64(double a, double b)
{
	return (a != a && b != b) || memcmp(&a, &b, sizeof(a)) == 0;
}

bool
vk_same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

bool
vk_same_floats(const float *a, const float *b, int n)
{
	for (int i = 0; i < n; i++)
		if (!vk_same_f32(a[i], b[i]))
			return false;
	return true;
}
