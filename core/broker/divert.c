#include "broker/divert.h"

#include "proto/properties.h"

char *divert_put(char *p, struct tl_str topic, int32_t queue_id)
{
    char text[20];

    p = properties_put(p, PROP_REAL_TOPIC, topic);
    return properties_put(p, PROP_REAL_QID, tl_str_n(text, tl_i64_text(queue_id, text)));
}

void divert_restore(struct record *r)
{
    r->queue_id = 0;
    tl_str_i32(properties_get(r->properties, PROP_REAL_QID), &r->queue_id);
    r->topic = properties_get(r->properties, PROP_REAL_TOPIC);
}
