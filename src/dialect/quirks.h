/*
 * Where a provider that calls itself OpenAI-compatible differs, as bits that its row in
 * tables/providers.def carries. Constant; any thread.
 */
#ifndef DIALECT_QUIRKS_H
#define DIALECT_QUIRKS_H

enum quirk {
    QUIRK_NO_DEVELOPER = 1 << 0,        /* a developer message must be a system message */
    QUIRK_MAX_TOKENS = 1 << 1,          /* knows max_tokens, not max_completion_tokens */
    QUIRK_NO_JSON_SCHEMA = 1 << 2,      /* response_format: text and json_object only */
    QUIRK_SHORT_CALL_IDS = 1 << 3,      /* ids of tool calls: exactly 9 letters and digits */
    QUIRK_RANDOM_SEED = 1 << 4,         /* seed is called random_seed */
    QUIRK_STRICT_FIELDS = 1 << 5,       /* unknown fields are refused */
    QUIRK_NO_NAMES = 1 << 6,            /* no `name` in messages */
    QUIRK_NO_LOGPROBS = 1 << 7,         /* no logprobs, logit_bias, n above 1 */
    QUIRK_ANY_FOR_REQUIRED = 1 << 8,    /* tool_choice "any" for "required" */
    QUIRK_TOOL_THEN_ASSISTANT = 1 << 9, /* after a tool message comes an assistant's */
    QUIRK_REASONING_BACK = 1 << 10,  /* reasoning_content goes back with the assistant's messages */
    QUIRK_DEEPSEEK_EFFORT = 1 << 11, /* reasoning_effort: none, low, high, max */
    QUIRK_DEEPSEEK_THINKING = 1 << 12, /* no forced tool_choice while thinking */
    QUIRK_USER_ID = 1 << 13,           /* user is called user_id */
    QUIRK_STOP_ARRAY = 1 << 14,        /* stop is always an array */
    QUIRK_NO_IMAGE_URL = 1 << 15,      /* images as data URLs only */
    QUIRK_NO_CHOICES = 1 << 16,        /* n, logprobs, tool_choice and the like are ignored: said */
    QUIRK_TOP_K = 1 << 17,             /* top_k is known */
    QUIRK_OPENROUTER_REASONING = 1 << 18, /* reasoning: {effort, max_tokens, exclude} */
    QUIRK_INT_LOGPROBS = 1 << 19,         /* logprobs is a number */
    QUIRK_RESPONSES = 1 << 20,            /* knows /responses; no difference that a body shows */
    QUIRK_FUNCTIONS_ONLY = 1 << 21,       /* no custom tools, no allowed_tools */
    QUIRK_PLAIN_EFFORT = 1 << 22,         /* reasoning_effort: none, low, medium, high */
};

#endif
