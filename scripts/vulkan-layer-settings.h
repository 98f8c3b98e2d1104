// What llama.cpp's Vulkan backend uses of VK_EXT_layer_settings, for headers that are older: those of
// Debian 12. It fills them in always, and hands them to a validation layer only where there is one.
#include <vulkan/vulkan_core.h>
#if VK_HEADER_VERSION < 261
#include <cstdint>
#include <vector>
namespace vk {
enum class LayerSettingTypeEXT : int { eBool32 = 0 };
struct LayerSettingEXT {
    const char * pLayerName;
    const char * pSettingName;
    LayerSettingTypeEXT type;
    uint32_t valueCount;
    const void * pValues;
};
struct LayerSettingsCreateInfoEXT {
    VkStructureType sType = static_cast<VkStructureType>(1000496000);
    const void * pNext = nullptr;
    uint32_t settingCount;
    const LayerSettingEXT * pSettings;
    explicit LayerSettingsCreateInfoEXT(const std::vector<LayerSettingEXT> & settings)
        : settingCount(static_cast<uint32_t>(settings.size())), pSettings(settings.data()) {}
};
} // namespace vk
#endif
