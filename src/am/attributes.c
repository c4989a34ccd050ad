/*-------------------------------------------------------------------------
 *
 * attributes.c
 *	  Attribute columns of an index, and the keys of one row.
 *
 * IDENTIFICATION
 *	  src/am/attributes.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "utils/builtins.h"
#include "utils/rel.h"

#include "am/am.h"

/* the type of key column i (0 is the vector), or an error */
static const VkAttributeType *
column_type(Relation index, int i)
{
	Oid			input_type = index->rd_opcintype[i];
	const VkAttributeType *type = vk_attribute_type(input_type);

	if (type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column %d of index \"%s\" cannot be of type %s",
						i + 1, RelationGetRelationName(index),
						format_type_be(input_type)),
				 errdetail("The first column is the vector that is searched; those after it are values to filter by.")));
	return type;
}

int
vk_attributes_describe(Relation index, int first_line, VkAttribute *attribute,
					   int *count, int *bytes)
{
	int			n = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	int			line = first_line;
	int			offset = 0;

	Assert(n <= VK_MAX_ATTRIBUTES);	/* the build refuses more */

	for (int i = 0; i < n; i++)
	{
		VkAttribute *column = &attribute[i];

		column->type = column_type(index, i + 1);
		column->collation = index->rd_indcollation[i + 1];
		column->width = vk_attribute_width(column->type);
		column->line = line;
		column->offset = offset;
		line += column->width * VK_LANES / VK_LINE_SIZE;
		offset += column->width;
	}
	*count = n;
	*bytes = offset;
	return line;
}

static void
store_key(char *to, int width, VkKey key)
{
	int32		narrow = (int32) key;
	int64		wide = (int64) key;

	memcpy(to, width == 4 ? (void *) &narrow : width == 8 ? (void *) &wide : (void *) &key,
		   width);
}

/*
 * Values that are stored out of line, or compressed, are fetched in the current
 * context, which the caller resets for each row.
 */
void
vk_attributes_form(const VkIndex *vk, const Datum *values, const bool *isnull,
				   VkAttributes *out)
{
	out->nulls = 0;
	for (int i = 0; i < vk->attributes; i++)
	{
		const VkAttribute *attribute = &vk->attribute[i];
		VkKey		key = 0;

		if (isnull[i + 1])
			out->nulls |= 1U << i;
		else
			key = vk_attribute_key(attribute, values[i + 1]);
		store_key(out->keys + attribute->offset, attribute->width, key);
	}
}

/* where the key of a lane is in a block, in bytes from its start */
static Size
lane_offset(const VkAttribute *attribute, int lane)
{
	return (Size) attribute->line * VK_LINE_SIZE + lane * attribute->width;
}

void
vk_attributes_put(const VkIndex *vk, VkBlockTop *block, int lane,
				  const VkAttributes *attributes)
{
	for (int i = 0; i < vk->attributes; i++)
	{
		const VkAttribute *attribute = &vk->attribute[i];
		uint16		bit = 1 << lane;

		memcpy((char *) block + lane_offset(attribute, lane),
			   attributes->keys + attribute->offset, attribute->width);
		if (attributes->nulls & 1U << i)
			block->head.nulls[i] |= bit;
		else
			block->head.nulls[i] &= ~bit;
	}
}

void
vk_attributes_get(const VkIndex *vk, const VkBlockTop *block, int lane,
				  VkAttributes *attributes)
{
	attributes->nulls = 0;
	for (int i = 0; i < vk->attributes; i++)
	{
		const VkAttribute *attribute = &vk->attribute[i];

		memcpy(attributes->keys + attribute->offset,
			   (const char *) block + lane_offset(attribute, lane),
			   attribute->width);
		attributes->nulls |= (uint32) (block->head.nulls[i] >> lane & 1) << i;
	}
}

VkKey
vk_attributes_key(const VkIndex *vk, int i, const VkAttributes *attributes)
{
	const VkAttribute *attribute = &vk->attribute[i];

	return vk_key_load(attributes->keys + attribute->offset, attribute->width);
}
