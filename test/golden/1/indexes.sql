--
-- An index of each kind; the images are of these definitions.
--
CREATE INDEX golden_flat ON golden USING vkflat (embedding f32vec_l2_ops);
CREATE INDEX golden_flat_columns ON golden
	USING vkflat (embedding f32vec_ip_ops, kind, tag, stamp, ((id::numeric))) WITH (bits = 2, refine = 4);
CREATE INDEX golden_flat_l1 ON golden USING vkflat (embedding f32vec_l1_ops);
CREATE INDEX golden_ivf ON golden
	USING vkivf (embedding f32vec_cosine_ops) WITH (lists = 6, bits = 1, refine = 8, calibrate = 100);
CREATE INDEX golden_ivf_columns ON golden
	USING vkivf (embedding f32vec_l2_ops, kind, tag) WITH (lists = 4, bits = '16', refine = none, calibrate = 0);
CREATE INDEX golden_ivf_l1 ON golden USING vkivf (embedding f32vec_l1_ops, id) WITH (lists = 3);
